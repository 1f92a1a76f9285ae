"""`python -m benchmarks.batch.floor FOLDER`: takes one file over a socket and writes it in parts of 4 MB, on the disk each.

What an upload costs that nobody reads, hashes or judges. It prints its port, and at the end the seconds and the CPU as JSON.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from pathlib import Path

PART_BYTES = 4 << 20
RECEIVE_BYTES = 1 << 18


def main() -> None:
    folder = Path(sys.argv[1])
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        connection, _ = server.accept()
        begun, busy = time.perf_counter(), time.process_time()
        with connection:
            parts = _take(connection, folder)
        took = {"upload_s": time.perf_counter() - begun, "cpu_s": time.process_time() - busy}
    for part in parts:
        part.unlink()
    print(json.dumps(took), flush=True)


def _take(connection: socket.socket, folder: Path) -> list[Path]:
    parts: list[Path] = []
    file, left = None, 0
    while block := connection.recv(RECEIVE_BYTES):
        if left <= 0:
            file = _ended(file)
            parts.append(folder / f"floor{len(parts)}")
            file, left = os.open(parts[-1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), PART_BYTES
        os.write(file, block)
        left -= len(block)
    _ended(file)
    return parts


def _ended(file: int | None) -> None:
    if file is not None:
        os.fsync(file)
        os.close(file)


if __name__ == "__main__":
    main()

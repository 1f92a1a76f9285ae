"""One `up` a data folder: a lock that the kernel gives back when its holder dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO


class Held(Exception):
    """Another process holds the lock; `pid` says which."""

    def __init__(self, pid: str) -> None:
        super().__init__(pid)
        self.pid = pid


def hold(data_dir: Path) -> IO[str]:
    """The open lock file, held until it is closed or this process ends. Raises Held."""
    data_dir.mkdir(parents=True, exist_ok=True)
    file = (data_dir / "up.lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        raise Held(file.read().strip() or "unknown") from error
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file

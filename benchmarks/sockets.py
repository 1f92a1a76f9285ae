"""`python -m benchmarks.sockets`: 500 open lists while 200 jobs a second change; from the commit to the fragment.

Rows really change, in a process of their own, in groups of four a transaction; each job is queued, runs and succeeds.
Of every tenth socket each fragment is read, of the others each frame is counted. CPU is of one core, user and system.
Give the names of scenes to play some of them only: one owners staff slow.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

import psutil
import uvloop

from benchmarks.processes import ROOT
from benchmarks.product import Product, product

SOCKETS = int(os.environ.get("SOCKETS", "500"))
SECONDS = float(os.environ.get("SECONDS", "10"))
CHANGES_A_SECOND = 200
A_TRANSACTION = 4
OPENED_AT_ONCE = 20
SETTLE_S = 2.0
AFTERGLOW_S = 1.5
READ_ONE_IN = 10
SLOW = 20
ROW = re.compile(rb'<tr id="job-([0-9a-f-]{36})".*?</svg>(\w+)</span>', re.DOTALL)
RANKS = {b"Queued": 0, b"Running": 1, b"Succeeded": 2}


@dataclass(frozen=True)
class Scene:
    """Who looks, and whose jobs change. slow: sockets beside them that never read."""

    title: str
    owners: int
    staff: int = 0
    slow: int = 0


SCENES = {
    "one": Scene("one owner's list", 1),
    "owners": Scene("50 owners, each on 10 pages", 50),
    "staff": Scene("one owner's list, every tenth one of five of the staff", 1, staff=5),
    "slow": Scene("one owner's list, and 20 sockets that never read", 1, slow=SLOW),
}


@dataclass
class Reader(asyncio.Protocol):
    """One socket. seen: when which job was first seen in a state of this rank or a later one."""

    owner: int | None
    request: bytes
    is_sampled: bool
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    seen: dict[tuple[bytes, int], float] = field(default_factory=dict)
    frames: int = 0
    size: int = 0
    closed_with: int | None = None
    never_reads: bool = False
    _rest: bytes = b""
    _to_skip: int = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.size += len(data)
        if not self.opened.is_set():
            head, end, data = (self._rest + data).partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            self._rest = b""
            self.opened.set()
            if self.never_reads:
                self.transport.pause_reading()
        self._take(data)

    def _take(self, data: bytes) -> None:
        if self._to_skip >= len(data):
            self._to_skip -= len(data)
            return
        data, self._to_skip = self._rest + data[self._to_skip :], 0
        at = 0
        while (header := _header(data, at)) is not None:
            opcode, begins, length = header
            if begins + length > len(data) and (self.is_sampled or opcode != 1):
                break
            self._frame(opcode, data[begins : begins + length] if self.is_sampled or opcode != 1 else b"")
            at = begins + length
        if at > len(data):
            self._to_skip, self._rest = at - len(data), b""
        else:
            self._rest = data[at:]

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode == 1:
            self.frames += 1
            if self.is_sampled:
                self._read(payload)
        elif opcode == 8:
            self.closed_with = int.from_bytes(payload[:2], "big")
        elif opcode == 9:
            self.transport.write(bytes([0x8A, 0x80 | len(payload)]) + bytes(4) + payload)

    def _read(self, payload: bytes) -> None:
        now = time.monotonic()
        for found in ROW.finditer(payload):
            for rank in range(RANKS[found[2]] + 1):
                self.seen.setdefault((found[1], rank), now)


def _header(data: bytes, at: int) -> tuple[int, int, int] | None:
    """The frame that begins at `at`: its opcode, where its payload begins, its length."""
    if len(data) < at + 2:
        return None
    short = data[at + 1] & 127
    wide = {126: 2, 127: 8}.get(short, 0)
    if len(data) < at + 2 + wide:
        return None
    length = int.from_bytes(data[at + 2 : at + 2 + wide], "big") if wide else short
    return data[at] & 15, at + 2 + wide, length


def main() -> None:
    scenes = [SCENES[name] for name in sys.argv[1:] or SCENES]
    with product() as served:
        for scene in scenes:
            uvloop.run(play(served, scene))


async def play(served: Product, scene: Scene) -> dict[str, float]:
    """Says what was seen; the figures that are asked for are returned."""
    with changer(served, scene) as child:
        assert child.stdin and child.stdout
        sessions = json.loads(await asyncio.to_thread(child.stdout.readline))
        readers = _readers(scene, sessions)
        await open_all(readers, served)
        await asyncio.sleep(SETTLE_S)
        web, own = psutil.Process(served.pids["web"]), psutil.Process()
        spent = -_cpu_s(web), -_cpu_s(own)
        size, begun = -sum(reader.size for reader in readers), time.monotonic()
        said = await changes(child.stdin, child.stdout)
        await asyncio.sleep(AFTERGLOW_S)
        took_s = time.monotonic() - begun
        web_share, own_share = ((before + _cpu_s(of)) / took_s for before, of in zip(spent, (web, own), strict=True))
        size += sum(reader.size for reader in readers)
        for reader in readers:
            reader.transport.abort()
    delays, lost = delays_of(readers, said)
    print(f"{scene.title}: {len(readers)} sockets, {len(said) / SECONDS:.0f} changes/s for {SECONDS:.0f} s")
    print(
        f"  change to fragment, ms: p50 {_at(delays, 0.5):.0f}  p99 {_at(delays, 0.99):.0f}  most {_at(delays, 1):.0f}"
    )
    print(f"  never came: {lost} of {len(delays) + lost}; closed: {_codes(readers)}")
    print(
        f"  web: {web_share:.1%} of a core, {web.memory_info().rss / 2**20:.0f} MB; client: {own_share:.1%} of a core"
    )
    print(f"  {sum(r.frames for r in readers) / took_s:.0f} messages/s, {size / took_s / 2**20:.1f} MB/s", flush=True)
    return {"p99_ms": _at(delays, 0.99), "web_percent": web_share * 100, "never_came": float(lost)}


def _readers(scene: Scene, sessions: list[list[str]]) -> list[Reader]:
    owners, staff = sessions
    readers = []
    for number in range(SOCKETS + scene.slow):
        is_staff = bool(scene.staff) and number % READ_ONE_IN == READ_ONE_IN - 1
        owner = None if is_staff else number % scene.owners
        session = staff[number // READ_ONE_IN % scene.staff] if owner is None else owners[owner]
        is_slow = number >= SOCKETS
        is_sampled = not is_slow and number % READ_ONE_IN in (
            {0, READ_ONE_IN - 1} if scene.staff else {number // 50 % 10}
        )
        readers.append(Reader(owner, _request(session), is_sampled, never_reads=is_slow))
    return readers


def _request(session: str) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        "GET /ws/jobs/ HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nCookie: sessionid={session}\r\n\r\n"
    ).encode()


async def open_all(readers: list[Reader], served: Product) -> None:
    turn = asyncio.Semaphore(OPENED_AT_ONCE)

    async def opened(reader: Reader) -> None:
        async with turn, asyncio.timeout(60):
            await asyncio.get_running_loop().create_connection(lambda: reader, "127.0.0.1", served.port)
            await reader.opened.wait()

    await asyncio.gather(*map(opened, readers))


async def changes(begin: IO[bytes], said: IO[bytes]) -> list[tuple[float, str, int, int]]:
    """(when it was committed, job, rank of its state, number of its owner) of each change."""
    begin.write(b"go\n")
    begin.flush()
    return [tuple(row) for row in json.loads(await asyncio.to_thread(said.readline))]


def delays_of(readers: list[Reader], said: list[tuple[float, str, int, int]]) -> tuple[list[float], int]:
    """Milliseconds of each (socket, change) that was seen, sorted, and how many were not."""
    of_owner: defaultdict[int | None, list[tuple[float, bytes, int]]] = defaultdict(list)
    for at, job, rank, owner in said:
        for whose in (owner, None):
            of_owner[whose].append((at, job.encode(), rank))
    sampled = [reader for reader in readers if reader.is_sampled]
    found = [(reader.seen.get((job, rank)), at) for reader in sampled for at, job, rank in of_owner[reader.owner]]
    delays = sorted((seen - at) * 1000 for seen, at in found if seen is not None)
    return delays, len(found) - len(delays)


def _at(delays: list[float], share: float) -> float:
    return delays[min(int(len(delays) * share), len(delays) - 1)] if delays else float("nan")


def _codes(readers: list[Reader]) -> dict[int, int]:
    codes = [reader.closed_with for reader in readers if reader.closed_with is not None]
    return {code: codes.count(code) for code in codes}


def _cpu_s(of: psutil.Process) -> float:
    times = of.cpu_times()
    return float(times.user + times.system)


@contextmanager
def changer(served: Product, scene: Scene) -> Iterator[subprocess.Popen[bytes]]:
    """The process that changes the jobs; `benchmarks.changing` says what it reads and writes."""
    command = [sys.executable, "-m", "benchmarks.changing", str(scene.owners), str(scene.staff)]
    command += [str(SECONDS), str(CHANGES_A_SECOND), str(A_TRANSACTION)]
    child = subprocess.Popen(command, cwd=ROOT, env=served.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


if __name__ == "__main__":
    main()

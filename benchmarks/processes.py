"""Processes of a benchmark's own: started on free ports with their output in a file, measured, and ended by their pid."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
STARTS_WITHIN_S = 120.0
ENDS_WITHIN_S = 60.0
_logs: list[Path] = []


@contextmanager
def kept_logs() -> Iterator[Path]:
    """A folder for what processes say: gone where all went well, kept and named where something failed."""
    folder = Path(tempfile.mkdtemp(prefix="dashboard-bench-logs-"))
    _logs.append(folder)
    try:
        yield folder
    except BaseException:
        print(f"What the processes said is kept in {folder}", file=sys.stderr)
        raise
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        _logs.remove(folder)


@contextmanager
def process(
    command: list[str],
    env: dict[str, str],
    ends_by: int = signal.SIGTERM,
    name: str = "",
    cwd: Path = ROOT,
) -> Iterator[subprocess.Popen[bytes]]:
    """A child, ended and waited for at the end. name: of its file among the kept logs; without one nobody reads it."""
    log = _logs[-1] / f"{name}.log" if name and _logs else Path("/dev/null")
    with log.open("ab") as output:
        child = subprocess.Popen(command, cwd=cwd, env=env, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield child
    finally:
        child.send_signal(ends_by)
        try:
            child.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def wait_until(holds: Callable[[], object], what: str, within_s: float = STARTS_WITHIN_S, every_s: float = 0.1) -> None:
    ends = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > ends:
            raise SystemExit(f"Within {within_s:.0f} s this did not come about: {what}.")
        time.sleep(every_s)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def child_with(parent: int, word: str) -> int:
    """The pid of the one child of `parent` whose command line has this word."""
    children = psutil.Process(parent).children()
    return next(int(child.pid) for child in children if any(word in part for part in child.cmdline()))


def cpu_s(pid: int) -> float:
    """User and system, of a process and of the children it has."""
    one = psutil.Process(pid)
    times = [process.cpu_times() for process in (one, *one.children(recursive=True))]
    return float(sum(time.user + time.system for time in times))


class Spending:
    """CPU by process since it was made."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._before = {name: cpu_s(pid) for name, pid in self._pids.items()}

    def ms_each(self, jobs: int) -> dict[str, float]:
        """Milliseconds a job, as metrics; `cpu_ms` is the sum of web, worker and Redis, as far as they are there."""
        spent = {name: (cpu_s(pid) - self._before[name]) * 1000 / max(1, jobs) for name, pid in self._pids.items()}
        total = sum(spent.get(name, 0.0) for name in ("web", "worker", "redis"))
        return {"cpu_ms": total, **{f"cpu_{name}_ms": value for name, value in spent.items()}}

"""One child process: its command, what it says, and when it may start again."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from predictions.limits import EXIT_CODE_TIME_LIMIT

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
HEALTHY_AFTER_S = 60.0
LONGEST_LINE = 65536
PR_SET_PDEATHSIG = 1  # Source: linux/prctl.h


def _end_with_the_parent() -> Callable[[], None] | None:
    """What a Linux child does before it runs: ask the kernel to be killed when its parent dies, even by kill -9.

    The parent must fork from its only thread: the kernel watches the thread, and preexec_fn is safe without others.
    Elsewhere nothing is asked; a Redis that outlived its parent is found and ended at the next start.
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def ask() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return ask


@dataclass(eq=False)
class Child:
    name: str
    argv: Sequence[str]
    stops: int = 0  # children are stopped in this order, lowest first
    grace_s: float = 7.0
    environment: Mapping[str, str] = field(default_factory=dict)
    runs_once: bool = False  # until it succeeds
    process: subprocess.Popen[bytes] | None = None
    output: IO[bytes] | None = None
    at_end: bool = False
    failures: int = 0
    start_at: float | None = None  # set while a restart is planned
    _started_at: float = 0.0
    _unfinished: bytes = b""

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def has_succeeded(self) -> bool:
        return self.runs_once and self.process is not None and self.process.poll() == 0

    def start(self) -> IO[bytes]:
        """Starts it in a session of its own, so that Ctrl-C reaches only the parent; what it says can be read."""
        self.process = subprocess.Popen(
            self.argv,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_the_parent(),
        )
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        self.output, self.at_end = self.process.stdout, False
        self._started_at, self.start_at = time.monotonic(), None
        return self.output

    def read_lines(self) -> list[str]:
        """What it said since the last call, by whole lines; at_end says that nothing can follow."""
        assert self.output is not None
        try:
            said = os.read(self.output.fileno(), LONGEST_LINE)
        except BlockingIOError:
            return []
        self.at_end = not said
        *whole, self._unfinished = (self._unfinished + said).split(b"\n")
        if self._unfinished and (self.at_end or len(self._unfinished) > LONGEST_LINE):
            whole, self._unfinished = [*whole, self._unfinished], b""
        return [line.decode("utf-8", "replace").rstrip("\r") for line in whole]

    def close_output(self) -> None:
        assert self.output is not None
        self.output.close()
        self.output, self._unfinished = None, b""

    def plan_restart(self) -> float:
        """The pause before the next start in seconds: it doubles, and begins anew after a minute of health.

        A worker that ended itself at a time limit did as it should: its job is failed, and the others wait for it.
        """
        now = time.monotonic()
        is_well = now - self._started_at >= HEALTHY_AFTER_S or self._ended_at_time_limit
        self.failures = 1 if is_well else self.failures + 1
        pause_s = min(FIRST_PAUSE_S * 2.0 ** min(self.failures - 1, 10), LONGEST_PAUSE_S)
        self.start_at = now + pause_s
        return pause_s

    @property
    def _ended_at_time_limit(self) -> bool:
        return self.process is not None and self.process.returncode == EXIT_CODE_TIME_LIMIT

    def signal(self, number: signal.Signals) -> None:
        """Sends to the whole group, so that the children of a worker hear it too."""
        if self.process is not None and self.is_running:
            os.killpg(self.process.pid, number)

    def ending(self) -> str:
        """How the last process ended, in words."""
        assert self.process is not None and self.process.returncode is not None
        code = self.process.returncode
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return f"{self.name} {how} after {time.monotonic() - self._started_at:.1f} s"

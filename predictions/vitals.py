"""What a worker process knows of itself. No torch: the device's name is told by the runtime."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psutil

from predictions.clock import Clock
from predictions.gpus import use_of
from predictions.versions import versions

RATE_OVER_S = 10.0
LAST_JOBS = 5
SMOOTHING = 0.2
"""What the latest pass counts for in the smoothed time of a pass."""


@dataclass
class Vitals:
    """One process. Written by the thread that works, read by the thread that reports."""

    name: str = ""
    queues: list[str] = field(default_factory=list)
    pool: str = "solo"
    stopping: bool = False
    device: str = ""
    model: str = ""
    model_state: str = "loading"
    model_error: str = ""
    gpu: str = ""
    pool_size: int = 1
    may_resize: bool = False
    job: str = ""
    job_since: float | None = None
    processed: int = 0
    failed: int = 0
    fenced: int = 0
    prefetch: int = 1
    pass_s: float | None = None
    micro_batches: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: deque[tuple[float, int]] = deque()
        self._progress: float | None = None
        self._turned: float | None = None
        self._last_jobs: deque[str] = deque(maxlen=LAST_JOBS)
        self.changed = threading.Event()
        self.started = datetime.now(UTC)
        self.host = socket.gethostname()

    def begin(self, job_id: str) -> None:
        self.job = job_id
        self.job_since = self._progress = time.monotonic()
        self.changed.set()

    def moved(self) -> None:
        """The work in hand goes on."""
        self._progress = time.monotonic()

    def turned(self) -> None:
        """Celery's own loop goes round: it would answer."""
        self._turned = time.monotonic()

    def worked_on(self, *job_ids: str) -> None:
        """The latest last; a batch comes once, however many of its parts were done here."""
        for job_id in job_ids[-LAST_JOBS:]:
            if job_id in self._last_jobs:
                self._last_jobs.remove(job_id)
            self._last_jobs.append(job_id)

    def end(self, rows: int, jobs: int = 1, failed: int = 0) -> None:
        self.job, self.job_since = "", None
        self.moved()
        self.changed.set()
        self.processed += jobs
        self.failed += failed
        self.scored(rows)

    def passed(self, rows: int, took_s: float) -> None:
        """One forward pass of a micro-batch."""
        self.moved()
        self.micro_batches[rows] += 1
        self.pass_s = took_s if self.pass_s is None else self.pass_s + SMOOTHING * (took_s - self.pass_s)

    def scored(self, rows: int) -> None:
        with self._lock:
            self._rows.append((time.monotonic(), rows))

    def rows_per_s(self) -> float:
        """Over the last ten seconds."""
        now = time.monotonic()
        with self._lock:
            while self._rows and now - self._rows[0][0] > RATE_OVER_S:
                self._rows.popleft()
            return sum(rows for _, rows in self._rows) / RATE_OVER_S

    @property
    def state(self) -> str:
        if self.stopping:
            return "stopping"
        if self.job or (self.model and self.model_state == "loading"):  # one more, which a job asks for
            return "busy"
        return "starting" if self.model_state == "loading" else "idle"

    def of_process(self, process: psutil.Process) -> dict[str, Any]:
        """The columns of the worker's row that a process knows of itself."""
        gpu = use_of(self.gpu)
        return {
            "state": self.state,
            "device": self.device,
            "model": self.model,
            "model_state": self.model_state,
            "model_error": self.model_error[:500],
            "job": self.job,
            "job_since": None if self.job_since is None else time.time() - (time.monotonic() - self.job_since),
            "progress_at": _by_the_clock(self._progress),
            "last_jobs": [*self._last_jobs],
            "processed": self.processed,
            "failed": self.failed,
            "fenced": self.fenced,
            "prefetch": self.prefetch,
            "rows_per_s": round(self.rows_per_s(), 1),
            "cpu_percent": process.cpu_percent(),
            "memory_bytes": process.memory_info().rss,
            "gpu_memory_bytes": gpu.memory_bytes,
            "gpu_percent": gpu.percent,
            "versions": versions(),
            "started": self.started,
        }

    def of_node(self) -> dict[str, Any]:
        """The columns that only the process with Celery's loop knows: under prefork the parent."""
        return {
            "queues": self.queues,
            "pool": self.pool,
            "pool_size": self.pool_size,
            "may_resize": self.may_resize,
            "celery_at": _by_the_clock(self._turned),
        }


def _by_the_clock(moment: float | None) -> Any:
    """A moment of this process's own clock, told by the database's."""
    return None if moment is None else Clock() - (time.monotonic() - moment)


vitals = Vitals()
INHERITED = ("name", "queues", "pool", "pool_size", "may_resize", "prefetch")


def reset_after_fork() -> None:
    """A prefork child counts for itself."""
    inherited = {name: vars(vitals)[name] for name in INHERITED}
    vitals.__dict__.update(vars(Vitals()) | inherited)  # in place: others hold the object


os.register_at_fork(after_in_child=reset_after_fork)

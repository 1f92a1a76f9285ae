"""Starts worker processes for the autoscaler, finds those that another one left behind, and knows which GPU each of them has.

They outlive a killed autoscaler on purpose, so that its death costs no attempt of any job; the next one finds them by name.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings

from predictions.queues import POOL, POOL_VARIABLE, served_with

LOG_BYTES = 10 * 1024**2


@dataclass
class Launched:
    """One worker process. pid: None, it is about to be started. process: None, another autoscaler started it."""

    name: str
    gpu: str | None = None
    pid: int | None = None
    state: str = "starting"
    started: float = field(default_factory=time.time)
    is_leaving: bool = False
    process: subprocess.Popen[bytes] | None = None

    @property
    def exit_code(self) -> int | None:
        return None if self.process is None else self.process.poll()

    @property
    def is_there(self) -> bool:
        if self.process is not None:
            return self.process.poll() is None
        return self.pid is not None and is_worker(self.pid, self.name)

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "pid": self.pid, "gpu": self.gpu, "state": self.state, "started": self.started}


def host() -> str:
    """As a worker names it in its row."""
    return socket.gethostname()


def command(name: str, queue: str) -> list[str]:
    celery = [sys.executable, "-m", "celery", "--quiet", "-A", "inference_site", "worker", "--pool=custom"]
    return [*celery, "-Q", served_with(queue), "-n", name, "--without-mingle", "--without-gossip", "-l", "INFO"]


def environment(gpu: str | None) -> dict[str, str]:
    """A worker sees its own GPU alone, as its first."""
    given = {**os.environ, "PYTHONUNBUFFERED": "1", POOL_VARIABLE: POOL}
    return given if gpu is None else given | {"CUDA_VISIBLE_DEVICES": gpu}


def start(worker: Launched, queue: str) -> None:
    """In a session of its own, so that Ctrl-C reaches the autoscaler alone. Its words go to a file: a pipe would end with us."""
    with log_of(worker.name).open("ab") as log:
        worker.process = subprocess.Popen(
            command(worker.name, queue),
            cwd=settings.BASE_DIR,
            env=environment(worker.gpu),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    worker.pid, worker.started = worker.process.pid, time.time()


def log_of(name: str) -> Path:
    """Where a worker's words go; the file before it is kept when it has grown large."""
    folder = Path(settings.DATA_DIR, "logs")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name.partition('@')[0]}.log"
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path


def end(worker: Launched, number: signal.Signals) -> None:
    """Signals the whole group of a worker that is there."""
    if worker.pid is not None and worker.is_there:
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, number)


def is_worker(pid: int, name: str) -> bool:
    """A number of a process is used again: what it runs tells whether it is this worker."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and _is_called(name, process.cmdline())
    except psutil.Error:
        return False


def is_autoscaler(pid: int, queue: str) -> bool:
    try:
        words = psutil.Process(pid).cmdline()
    except psutil.Error:
        return False
    return "autoscale" in words and any(queue in word for word in words)


def find(left: Iterable[dict[str, Any]]) -> list[Launched]:
    """Those of the workers in an autoscaler's row whose processes are there, also where it died before it noted the number."""
    names = {each["name"]: each for each in left}
    pids = {name: each["pid"] for name, each in names.items() if each["pid"] and is_worker(each["pid"], name)}
    if len(pids) < len(names):
        pids |= _by_name(names.keys() - pids.keys())
    return [
        Launched(name, names[name]["gpu"], pid, names[name]["state"], names[name]["started"])
        for name, pid in pids.items()
    ]


def _by_name(names: Collection[str]) -> dict[str, int]:
    """The leader of each worker's session."""
    found: dict[str, int] = {}
    for process in psutil.process_iter(["pid", "cmdline"]):
        words = process.info["cmdline"] or []
        found |= {name: process.info["pid"] for name in names if _is_called(name, words)}
    return found


def _is_called(name: str, words: list[str]) -> bool:
    return "worker" in words and name in words


def exists(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False

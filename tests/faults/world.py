"""The whole product as real processes on a Redis of its own, each of which a test may kill, freeze or start again."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import redis
from django.db import connection, transaction

from predictions import broker, workers
from tests import processes
from tests.faults import executions
from tests.faults.ledger import Ledger
from tests.processes import eventually
from tests.surroundings import DATA_DIR, free_port

_numbers = count(1)
Process = subprocess.Popen[bytes]


class World:
    """`web()`, `steward()`, `worker(…)` start a process and return it; all are ended with the world."""

    def __init__(self, stack: ExitStack, database: str, key: str) -> None:
        self._stack = stack
        self.key = key
        self.number = next(_numbers)
        self.log = Path(DATA_DIR, f"executions-{self.number}.jsonl")
        self.redis_port, self.web_port = free_port(), free_port()
        self.env = {
            **processes.database_env(database),
            "REDIS_URL": f"redis://127.0.0.1:{self.redis_port}/0",
            "PORT": str(self.web_port),
            "EXECUTION_LOG": str(self.log),
        }
        self.address = f"http://127.0.0.1:{self.web_port}"
        self.ledger = Ledger(self.address, key, self.log)
        stack.callback(self.ledger.close)

    # -- processes

    def redis(self, *options: str) -> Process:
        """Empty, whatever the one before it held. It answers when this returns."""
        command = [*processes.redis_command(self.redis_port), *options]
        child = self._start("redis", command)
        client = redis.Redis(port=self.redis_port)
        assert eventually(lambda: processes.answers(client)), self.log_of("redis")
        client.close()
        return child

    def web(self, application: str = "inference_site.asgi:application", ready: bool = True) -> Process:
        command = [sys.executable, "-m", "uvicorn", application, "--port", str(self.web_port), "--no-access-log"]
        child = self._start("web", [*command, "--timeout-graceful-shutdown", "3"])
        if ready:
            assert eventually(lambda: self.is_up(child), processes.START_S), self.log_of("web")
        return child

    def is_up(self, child: Process) -> bool:
        if child.poll() is not None:
            return False
        try:
            return httpx.get(f"{self.address}/healthz", timeout=2).is_success
        except httpx.HTTPError:
            return False

    def steward(self, without: str = "", **env: str) -> Process:
        """without: names of protections to switch off (weakened.py), with commas between."""
        plain = processes.manage_command("steward")
        command = [sys.executable, "-m", "tests.faults.weakened"] if without else plain
        return self._start("steward", command, {"WITHOUT": without, **env})

    def worker(
        self, queues: str, *options: str, forward_s: float = 0, without: str = "", ready: bool = True, **env: str
    ) -> Process:
        """A watched worker; with `ready` it has its model when this returns."""
        name = f"{queues.split(',')[0]}{next(_numbers)}"
        command = processes.worker_command(queues, name, *options, app="tests.faults.watched")
        child = self._start(name, command, {"FORWARD_S": str(forward_s), "WITHOUT": without, **env})
        if ready:
            self.wait_ready(name, child)
        return child

    def wait_ready(self, name: str, child: Process) -> None:
        eventually(lambda: child.poll() is not None or _is_ready(name), processes.START_S)
        assert _is_ready(name), self.log_of(name)

    def _start(self, name: str, command: list[str], env: dict[str, str] | None = None) -> Process:
        return self._stack.enter_context(
            processes.running(f"{name}-world{self.number}", command, {**self.env, **(env or {})})
        )

    def log_of(self, name: str) -> str:
        return processes.log_of(f"{name}-world{self.number}")

    # -- what is seen from outside

    def executions(self) -> list[executions.Execution]:
        return executions.read(self.log)

    def messages(self) -> int:
        """All that Redis holds of our queues, waiting and unacknowledged."""
        return sum(depth.waiting + depth.unacked for depth in broker.depths().values())


@contextmanager
def repeating(act: Callable[[], Any], every_s: float) -> Iterator[None]:
    """Does `act` again and again from a thread of its own, as far apart as said."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(every_s):
            act()

    thread = threading.Thread(target=run, name="repeating")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def kill(child: Process) -> float:
    """SIGKILL; returns when, in seconds since 1970."""
    at = time.time()
    child.send_signal(signal.SIGKILL)
    child.wait()
    return at


@contextmanager
def frozen(child: Process) -> Iterator[float]:
    """SIGSTOP, and SIGCONT at the end; yields when it stopped, in seconds since 1970."""
    child.send_signal(signal.SIGSTOP)
    try:
        yield time.time()
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGCONT)


@contextmanager
def locked_database() -> Iterator[None]:
    """Nobody else writes meanwhile: on SQLite each transaction begins IMMEDIATE (facts 20), on PostgreSQL the jobs are locked."""
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("LOCK TABLE predictions_job IN ACCESS EXCLUSIVE MODE")
        yield


def _is_ready(name: str) -> bool:
    return any(node.is_ready for node in workers.nodes() if node.name.startswith(f"{name}@"))

"""The plain recipe, started as its tutorial says: Redis without persistence, uvicorn, one solo worker."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import redis

from benchmarks.processes import ROOT, free_port, listens, process, wait_until
from inference_site import embedded_redis

RECIPE = Path(__file__).with_name("plain_recipe")
QUEUE = "realtime"
_numbers = count(1)


@dataclass(frozen=True)
class Plain:
    """The recipe, running without a worker. pids: of web and redis."""

    folder: Path
    env: dict[str, str]
    port: int
    redis_port: int
    pids: dict[str, int]

    def broker(self) -> redis.Redis:
        return redis.Redis(port=self.redis_port)

    def results(self) -> redis.Redis:
        return redis.Redis(port=self.redis_port, db=1)


@contextmanager
def plain() -> Iterator[Plain]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="plain-recipe-")))
        subprocess.run(
            [sys.executable, "-m", "benchmarks.plain_model", str(folder / "model_scripted.pt")], cwd=ROOT, check=True
        )
        redis_port, port = free_port(), free_port()
        # Where Django's settings are named, Celery sets Django up.
        env = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
        env |= {"PYTHONPATH": str(RECIPE), "REDIS_PORT": str(redis_port)}
        store = stack.enter_context(bare_redis(redis_port, folder))
        web = [sys.executable, "-m", "uvicorn", "api:api", "--port", str(port), "--log-level", "warning"]
        serving = stack.enter_context(process(web, env, name="plain-web", cwd=folder))
        wait_until(lambda: listens(port), "the recipe's web listens")
        yield Plain(folder, env, port, redis_port, {"web": serving.pid, "redis": store})


@contextmanager
def bare_redis(port: int, folder: Path) -> Iterator[int]:
    """The pid of a Redis that keeps nothing."""
    command = [embedded_redis.program(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with process([*command, "--dir", str(folder)], dict(os.environ), name="plain-redis") as server:
        wait_until(lambda: embedded_redis.answers(f"redis://127.0.0.1:{port}/0"), "the recipe's Redis answers")
        yield server.pid


@contextmanager
def plain_worker(served: Plain, queue: str = QUEUE) -> Iterator[int]:
    """The pid of a worker that starts; what waits is taken as soon as it is ready."""
    celery = [sys.executable, "-m", "celery", "-A", "celery_app", "worker", "--pool=solo", "-Q", queue]
    name = f"plain-worker{next(_numbers)}"
    with process([*celery, "-n", f"{name}@%h"], served.env, name=name, cwd=served.folder) as child:
        yield child.pid
        if child.poll() is not None:
            raise SystemExit("The recipe's worker ended too early.")

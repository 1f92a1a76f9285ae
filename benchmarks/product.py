"""The product of a benchmark's own: `manage.py up` without workers, in a data folder and on a port that are thrown away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import httpx

from benchmarks.processes import ROOT, child_with, free_port, process, wait_until
from predictions import queues

# How the product starts its workers; POOL=solo measures another pool of Celery's.
POOL = os.environ.get("POOL", "custom")
NOT_INHERITED = (
    *("REDIS_URL", "DATABASE_URL", "MODEL_DIR", "DEFAULT_MODEL", "RATE_LIMIT", "ALLOWED_HOSTS", "SECRET_KEY"),
    *("TIME_LIMIT", "SOFT_TIME_LIMIT", "RESULT_EXPIRES", "DJANGO_ALLOW_ASYNC_UNSAFE"),
)
_numbers = count(1)


@dataclass(frozen=True)
class Product:
    """env: what makes another process belong to it. pids: of web, redis and steward."""

    address: str
    env: dict[str, str]
    key: str
    pids: dict[str, int] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return int(self.env["PORT"])

    @property
    def folder(self) -> Path:
        return Path(self.env["DATA_DIR"])

    @property
    def redis_url(self) -> str:
        return (self.folder / "redis_url").read_text().strip()

    @property
    def database_url(self) -> str:
        return self.env.get("DATABASE_URL", f"sqlite:///{self.folder / 'dashboard.sqlite3'}")

    def client(self) -> httpx.Client:
        return httpx.Client(
            base_url=f"{self.address}/api/v1", headers={"Authorization": f"Bearer {self.key}"}, timeout=90
        )

    def manage(self, *words: str) -> str:
        """Run a command of manage.py to its end; returns what it printed."""
        return manage(self.env, *words)


@contextmanager
def product(
    database_url: str | None = None, model_dir: Path | None = None, folder: Path | None = None
) -> Iterator[Product]:
    """database_url: SQLite in its folder where none is given. folder: one that holds a database already."""
    with ExitStack() as stack:
        folder = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dashboard-bench-")))
        env = env_of(folder, database_url, model_dir)
        command = [sys.executable, "manage.py", "up"]
        up = stack.enter_context(process(command, env, signal.SIGINT, name=f"up{next(_numbers)}"))
        address = f"http://127.0.0.1:{env['PORT']}"
        wait_until_up(address)
        words = {"web": "uvicorn", "redis": "redis", "steward": "steward"}
        key = manage(env, "create_api_key", "admin").split()[-1]
        yield Product(address, env, key, {name: child_with(up.pid, word) for name, word in words.items()})


def env_of(folder: Path, database_url: str | None = None, model_dir: Path | None = None) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    env |= {
        "DATA_DIR": str(folder),
        "PORT": str(free_port()),
        "REALTIME_WORKERS": "0",
        "BATCH_WORKERS": "0",
        queues.POOL_VARIABLE: queues.POOL,
    }
    if database_url:
        env["DATABASE_URL"] = database_url
    if model_dir:
        env["MODEL_DIR"] = str(model_dir)
    return env


def manage(env: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *words], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout


@contextmanager
def starting_worker(served: Product, *options: str, app: str = "inference_site") -> Iterator[int]:
    """The pid of a worker for `realtime` that takes what waits as soon as it can."""
    with _worker(served, *options, app=app) as (child, _):
        yield child.pid


@contextmanager
def worker(served: Product, *options: str, app: str = "inference_site", queue: str = "realtime") -> Iterator[int]:
    """One that is idle with its model."""
    with _worker(served, *options, app=app, queue=queue) as (child, name), served.client() as client:
        wait_until(lambda: child.poll() is not None or _is_ready(client, name), f"{name} is idle with its model")
        if child.poll() is not None:
            raise SystemExit(f"The worker {name} ended at its start.")
        yield child.pid


@contextmanager
def _worker(
    served: Product, *options: str, app: str, queue: str = "realtime"
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    name = f"bench{next(_numbers)}"
    with process(worker_command(queue, name, *options, app=app), served.env, name=name) as child:
        yield child, name
        if child.poll() is not None:
            raise SystemExit(f"The worker {name} ended too early.")


def _is_ready(client: httpx.Client, name: str) -> bool:
    workers = client.get("/workers").json()["items"]
    return any(found["name"].startswith(f"{name}@") and found["state"] == "idle" for found in workers)


def worker_command(served: str, name: str, *options: str, app: str = "inference_site") -> list[str]:
    celery = [sys.executable, "-m", "celery", "-A", app, "worker", "-Q", served, "-n", f"{name}@%h"]
    return [*celery, "--without-mingle", "--without-gossip", *(options or (f"--pool={POOL}",))]


def wait_until_up(address: str) -> None:
    wait_until(lambda: _answers(address), f"the product answers at {address}")


def _answers(address: str) -> bool:
    try:
        return bool(httpx.get(f"{address}/healthz", timeout=2).is_success)
    except httpx.HTTPError:
        return False

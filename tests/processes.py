"""Real processes for tests: each is started on free ports and the run's own data, and ended by its pid."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import redis

from tests.surroundings import DATA_DIR, REDIS_PORT, TEST_DATABASE_URL, free_port

ROOT = Path(__file__).resolve().parent.parent
START_S = 60.0


def eventually(holds: Callable[[], object], within_s: float = 20.0, every_s: float = 0.02) -> bool:
    """True as soon as it holds; a bound for a test that waits, not a measurement."""
    ends = time.monotonic() + within_s
    while time.monotonic() < ends:
        if holds():
            return True
        time.sleep(every_s)
    return bool(holds())


@contextmanager
def running(name: str, command: list[str], env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A child with its output in DATA_DIR/<name>.log; ended by SIGTERM, by SIGKILL where that does not help."""
    with Path(DATA_DIR, f"{name}.log").open("ab") as log:
        child = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **(env or {})}, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield child
    finally:
        end(child)


def end(child: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> None:
    if child.poll() is None:
        child.send_signal(signal.SIGCONT)
        child.send_signal(number)
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def log_of(name: str) -> str:
    return Path(DATA_DIR, f"{name}.log").read_text(errors="replace")


def redis_command(port: int) -> list[str]:
    executable = shutil.which("redis-server") or shutil.which("valkey-server")
    assert executable, "redis-server is missing: run `make test`, which installs it"
    return [
        executable,
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        DATA_DIR,
    ]


@contextmanager
def redis_server(port: int = REDIS_PORT) -> Iterator[subprocess.Popen[bytes]]:
    with running(f"redis-{port}", redis_command(port)) as child:
        client = redis.Redis(port=port)
        assert eventually(lambda: answers(client)), log_of(f"redis-{port}")
        client.close()
        yield child


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def database_env(database: str) -> dict[str, str]:
    """What makes a child process use the test's database. database: a file of SQLite, or a name on PostgreSQL."""
    if TEST_DATABASE_URL:
        return {"DATABASE_URL": urlsplit(TEST_DATABASE_URL)._replace(path=f"/{database}").geturl()}
    return {"DATABASE_URL": f"sqlite:///{database}"}


def worker_command(queues: str, name: str, *more: str, app: str = "inference_site") -> list[str]:
    python = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        app,
        "worker",
        "-Q",
        queues,
        "-n",
        f"{name}@%h",
        "-l",
        "INFO",
    ]
    return [*python, "--without-mingle", "--without-gossip", *(more or ("--pool=custom",))]


@contextmanager
def web(database: str, name: str = "web") -> Iterator[str]:
    """uvicorn on a free port; yields its address."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "inference_site.asgi:application",
        "--port",
        str(port),
        "--no-access-log",
    ]
    with running(
        name, [*command, "--timeout-graceful-shutdown", "3"], {**database_env(database), "PORT": str(port)}
    ) as child:
        assert eventually(lambda: child.poll() is not None or _listens(port), START_S) and child.poll() is None, log_of(
            name
        )
        yield f"http://127.0.0.1:{port}"


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def manage_command(*words: str) -> list[str]:
    return [sys.executable, "manage.py", *words]


def run_manage(*words: str) -> str:
    """Run a command of manage.py to its end; returns what it printed."""
    done = subprocess.run(manage_command(*words), cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

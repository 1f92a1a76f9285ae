"""The product of a benchmark's own: `manage.py up` without workers, in a data folder and on a port that are thrown away."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent
STARTS_WITHIN_S = 120.0


@dataclass(frozen=True)
class Product:
    """env: what makes another process belong to it."""

    address: str
    env: dict[str, str]
    key: str

    def client(self) -> httpx.Client:
        return httpx.Client(
            base_url=f"{self.address}/api/v1", headers={"Authorization": f"Bearer {self.key}"}, timeout=90
        )


@contextmanager
def product() -> Iterator[Product]:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="dashboard-bench-"))
        port = _free_port()
        env = os.environ | {"DATA_DIR": folder, "PORT": str(port), "REALTIME_WORKERS": "0", "BATCH_WORKERS": "0"}
        for name in ("REDIS_URL", "DATABASE_URL", "MODEL_DIR", "RATE_LIMIT"):
            env.pop(name, None)
        stack.enter_context(process([sys.executable, "manage.py", "up"], env, signal.SIGINT))
        address = f"http://127.0.0.1:{port}"
        wait_until_up(address)
        key = subprocess.run(
            [sys.executable, "manage.py", "create_api_key", "admin"], cwd=ROOT, env=env, capture_output=True, check=True
        ).stdout.decode()
        yield Product(address, env, key.split()[-1])


@contextmanager
def process(
    command: list[str], env: dict[str, str], ends_by: int = signal.SIGTERM
) -> Iterator[subprocess.Popen[bytes]]:
    """A child whose output nobody reads; ended, and waited for, at the end."""
    child = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield child
    finally:
        child.send_signal(ends_by)
        child.wait(60)


def worker_command(queues: str, name: str, *options: str, app: str = "inference_site") -> list[str]:
    celery = [sys.executable, "-m", "celery", "-A", app, "worker", "-Q", queues, "-n", f"{name}@%h"]
    return [*celery, "--without-mingle", "--without-gossip", *(options or ("--pool=solo",))]


def wait_until_up(address: str) -> None:
    ends = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < ends:
        try:
            if httpx.get(f"{address}/healthz", timeout=2).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"The product did not answer at {address} within {STARTS_WITHIN_S:.0f} s.")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])

"""`make profile`: where the web and the worker spend the processor's time while 32 clients submit and wait.

WHAT=web, worker or both (one after the other, each with the other one as it is). SECONDS=8. CLIENTS=32. FOLDER=where the
profiles go. ACT=submit: the clients only submit. Profiling makes Python about half as fast: read the shares.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.processes import Spending, free_port, kept_logs, listens, process, wait_until
from benchmarks.product import Product, product, worker, worker_command
from benchmarks.sides import Ours, load, one_by_one

WHAT = os.environ.get("WHAT", "both")
ACT = os.environ.get("ACT", "predict")
SECONDS = float(os.environ.get("SECONDS", "8"))
CLIENTS = int(os.environ.get("CLIENTS", "32"))


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended then, too
    folder = Path(os.environ.get("FOLDER") or tempfile.mkdtemp(prefix="dashboard-profiles-"))
    with ExitStack() as stack:
        stack.enter_context(kept_logs())
        served = stack.enter_context(product())
        for what in ("web", "worker") if WHAT == "both" else (WHAT,):
            file = folder / f"{what}.txt"
            file.unlink(missing_ok=True)
            with (profiled_web if what == "web" else profiled_worker)(served, file) as (port, pid):
                found = driven(served, port, pid)
            rate = f"{found['per_s']:.0f}/s and {found['cpu_profiled_ms']:.2f} ms of its CPU each"
            print(f"{what}: {rate}, under the profiler\n{file.read_text()}\nKept in {file}", flush=True)


def driven(served: Product, port: int, pid: int) -> dict[str, float]:
    ours = Ours(served)
    if ACT == "predict":
        one_by_one(port, ours.predict, 20)
    os.kill(pid, signal.SIGUSR2)
    return load(port, getattr(ours, ACT), CLIENTS, SECONDS, Spending({"profiled": pid}))


@contextmanager
def profiled_web(served: Product, file: Path) -> Iterator[tuple[int, int]]:
    """A second web beside the first, on a port of its own: the port, and its pid."""
    port = free_port()
    words = ["uvicorn", "inference_site.asgi:application", "--port", str(port), "--no-access-log"]
    words += ["--timeout-graceful-shutdown", "3"]
    with ExitStack() as stack:
        if ACT == "predict":
            stack.enter_context(worker(served))
        web = stack.enter_context(process(profiled(file, words), served.env | {"PORT": str(port)}, name="web"))
        wait_until(lambda: listens(port), "the web listens")
        yield port, web.pid


@contextmanager
def profiled_worker(served: Product, file: Path) -> Iterator[tuple[int, int]]:
    """The port of the product's web, and the worker's pid."""
    words = worker_command("realtime", "profiled")[2:]  # without `python -m`
    with process(profiled(file, words), served.env, name="worker") as child:
        yield served.port, child.pid


def profiled(file: Path, words: list[str]) -> list[str]:
    return [sys.executable, "-m", "benchmarks.under_profile", str(file), *words]


if __name__ == "__main__":
    main()

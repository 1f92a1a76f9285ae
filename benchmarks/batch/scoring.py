"""One file through the product, from the first byte sent to its result: seconds, CPU, memory, bytes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import redis

from benchmarks.batch import sending
from benchmarks.processes import cpu_s
from benchmarks.product import Product, worker

MB = 1_000_000
LOOKS_EVERY_S = 0.05
WARM_UP_ROWS = 1_000
Metrics = dict[str, float]


@contextmanager
def batch_workers(served: Product, count: int, app: str = "inference_site") -> Iterator[list[int]]:
    """Their pids; idle, with their model."""
    with ExitStack() as stack:
        yield [stack.enter_context(worker(served, app=app, queue="batch,default")) for _ in range(count)]


def score(served: Product, workers: list[int], file: Path, on_bad_row: str = "reject") -> tuple[Metrics, str]:
    """What it took, and the sha256 of the result. whole_s: to the end of the job; rest_s: from its acceptance on."""
    web = served.pids["web"]
    memory = Memory({"web": [web], "worker": workers})
    written, busy = _written(web), {"web": cpu_s(web), "worker": sum(map(cpu_s, workers))}
    with broker_peak(served) as peak:
        begun = time.perf_counter()
        job_id = sending.upload(served, file, on_bad_row)
        accepted, web_then = time.perf_counter(), cpu_s(web)
        job = sending.ended(served, job_id)
        finished = time.perf_counter()
        if job["status"] != "succeeded":
            raise SystemExit(f"The job came to {job['status']}: {job['error']}")
        sha256 = sending.download(served, job_id)
        downloaded = time.perf_counter()
    size = file.stat().st_size
    return {
        "whole_s": finished - begun,
        "upload_s": accepted - begun,
        "rest_s": finished - accepted,
        "download_s": downloaded - finished,
        "cpu_s": cpu_s(web) + sum(map(cpu_s, workers)) - sum(busy.values()),
        "cpu_worker_s": sum(map(cpu_s, workers)) - busy["worker"],
        "ingest_mb_per_s": size / MB / max(web_then - busy["web"], 0.001),
        "written_ratio": (_written(web) - written) / size,
        "redis_mb": peak[0] / MB,
        **memory.growth_mb(),
    }, sha256


class Memory:
    """How far the largest process of each kind grew over what it had, at its peak."""

    def __init__(self, pids: Mapping[str, list[int]]) -> None:
        self._pids = pids
        self._before = {pid: _kept_mb(pid, "VmRSS") for each in pids.values() for pid in each}
        for pid in self._before:
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew

    def growth_mb(self) -> Metrics:
        return {
            f"{kind}_growth_mb": max(_kept_mb(pid, "VmHWM") - self._before[pid] for pid in pids)
            for kind, pids in self._pids.items()
        }


@contextmanager
def broker_peak(served: Product) -> Iterator[list[float]]:
    """Bytes by which Redis grew at most, looked at 20 times a second."""
    broker = redis.Redis.from_url(served.redis_url)
    before, peak, ended = float(broker.info("memory")["used_memory"]), [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(LOOKS_EVERY_S):
            peak[0] = max(peak[0], float(broker.info("memory")["used_memory"]) - before)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def _kept_mb(pid: int, name: str) -> float:
    """VmRSS: now; VmHWM: at its peak."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024 / MB


def _written(pid: int) -> int:
    """Bytes that the process sent to disk."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes:"))

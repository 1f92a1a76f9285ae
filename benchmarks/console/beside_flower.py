"""Flower beside the same broker, after it has seen so many of our tasks: what its pages take and what it holds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psutil

from benchmarks.figures import percentile
from benchmarks.processes import free_port, listens, process, wait_until
from benchmarks.product import Product

ASKED = 10
SORTED = "&columns[0][data]=name&order[0][column]=0&order[0][dir]=asc&search[value]="
PAGES = {
    "workers": "/workers",
    "tasks, its table": f"/tasks/datatable?draw=1&start=0&length=15{SORTED}",
    "tasks, API": "/api/tasks?limit=15",
}


@contextmanager
def flower(served: Product) -> Iterator[tuple[str, int]]:
    """Its address and pid."""
    port = free_port()
    words = [sys.executable, "-m", "celery", "-A", "inference_site", "flower", "--address=127.0.0.1", f"--port={port}"]
    env = served.env | {"FLOWER_UNAUTHENTICATED_API": "true"}
    with process([*words, "--max_tasks=2000000"], env, name="flower") as child:
        wait_until(lambda: listens(port), "Flower answers")
        time.sleep(3)  # it asks its workers first
        yield f"http://127.0.0.1:{port}", child.pid


def seen(address: str) -> int:
    """Tasks that Flower says succeeded, over all workers."""
    answer = httpx.get(f"{address}/workers?json=1", timeout=90).json()
    return sum(int(worker.get("task-succeeded", 0)) for worker in answer["data"])


def pages(address: str, pid: int) -> dict[str, float]:
    """p50 in milliseconds of each page, and megabytes."""
    found = {"memory_mb": psutil.Process(pid).memory_info().rss / 1e6}
    with httpx.Client(base_url=address, timeout=90) as client:
        for page, path in PAGES.items():
            found[page] = percentile([_took_ms(client, path) for _ in range(ASKED)], 0.5)
    return found


def _took_ms(client: httpx.Client, path: str) -> float:
    begun = time.perf_counter()
    answer = client.get(path)
    answer.raise_for_status()
    return (time.perf_counter() - begun) * 1000

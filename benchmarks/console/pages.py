"""What each page of the console takes, asked one after another as a browser asks; and what the web process grows by."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import psutil

from benchmarks.figures import percentile
from benchmarks.product import Product

ASKED = 60
PAGES = {
    "overview": "/console/",
    "plots, 15 min": "/console/samples/?range=15m",
    "plots, 7 d": "/console/samples/?range=7d",
    "queues": "/console/queues/",
    "workers": "/console/workers/",
    "results": "/console/results/",
    "search by user": "/console/results/?user=person3",
    "search by error": "/console/results/?error=illegal+memory",
    "audit": "/console/audit/",
    "audit by who": "/console/audit/?who=person7",
    "jobs": "/jobs/",
    "jobs, failed": "/jobs/?status=failed",
    "metrics": "/metrics",
    "GET queues": "/api/v1/queues",
    "GET workers": "/api/v1/workers",
}


@dataclass(frozen=True)
class Asked:
    """Milliseconds; kilobytes of the answer, as it travels."""

    p50_ms: float
    p95_ms: float
    kilobytes: float


def asked(served: Product) -> tuple[dict[str, Asked], float]:
    """Each page, and by how many MB the web process has grown."""
    web = psutil.Process(served.pids["web"])
    with signed_in(served) as client:
        for address in PAGES.values():
            _answer(client, address)
        before = web.memory_info().rss
        found = {page: _asked(client, address) for page, address in PAGES.items()}
    return found, (web.memory_info().rss - before) / 1e6


@contextmanager
def signed_in(served: Product) -> Iterator[httpx.Client]:
    link = served.manage("sign_in_link", "admin").split()[-1]
    with httpx.Client(base_url=served.address, timeout=90, follow_redirects=True) as client:
        client.get(link[link.index("/", 8) :])
        yield client


def _asked(client: httpx.Client, address: str) -> Asked:
    took, size = [], 0
    for _ in range(ASKED):
        begun = time.perf_counter()
        size = _answer(client, address)
        took.append(time.perf_counter() - begun)
    return Asked(percentile(took, 0.5) * 1000, percentile(took, 0.95) * 1000, size / 1000)


def _answer(client: httpx.Client, address: str) -> int:
    answer = client.get(address)
    if answer.status_code != 200:
        raise SystemExit(f"{address} answered {answer.status_code}: {answer.text[:300]}")
    return int(answer.num_bytes_downloaded)

"""`make bench-console`: the console beside 10,000, 100,000 and 1,000,000 jobs with 3 workers, and Flower beside the same tasks.

ONLY=pages,kill,change,cost,flower. QUICK=1: no million, a tenth of the tasks. DATABASE=postgres. BENCH_REPORT=file.json.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.console import beside_flower, histories, pages, screens
from benchmarks.database import database
from benchmarks.processes import cpu_s, kept_logs, wait_until
from benchmarks.product import Product, product, worker
from benchmarks.sides import Ours, many, one_by_one
from benchmarks.stage import IS_QUICK, own_database, say

SIZES = (10_000, 100_000) if IS_QUICK else (10_000, 100_000, 1_000_000)
TASKS = 1_000 if IS_QUICK else 10_000
IDLE_S = 30.0
Found = dict[str, Any]


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended then, too
    wanted = [name for name in os.environ.get("ONLY", "").split(",") if name] or list(MEASURES)
    found: Found = {}
    with ExitStack() as stack:
        stack.enter_context(kept_logs())
        served = stack.enter_context(product(own_database(stack)[0]))
        with worker(served):
            one_by_one(served.port, Ours(served).predict, 5)
        for name in wanted:
            say(name)
            found[name] = MEASURES[name](served)
            print(json.dumps({name: found[name]}, indent=1), flush=True)
    if file := os.environ.get("BENCH_REPORT"):
        Path(file).write_text(json.dumps(found, indent=1))


def _pages(served: Product) -> Found:
    """Milliseconds (p50, p95) and kB of each page, by the length of the history; and by how many MB the web grew."""
    return {f"{jobs:,} jobs": _pages_beside(served, jobs) for jobs in SIZES}


def _pages_beside(served: Product, jobs: int) -> Found:
    with tempfile.TemporaryDirectory(prefix="dashboard-bench-console-") as folder, ExitStack() as stack:
        url = histories.made(served, Path(folder), jobs)
        grown = stack.enter_context(product(url, served.folder / "models", Path(folder)))
        for queue in ("realtime", "realtime", "batch,default"):
            stack.enter_context(worker(grown, queue=queue))
        found, grew_mb = pages.asked(grown)
        shown = {
            page: [round(one.p50_ms, 1), round(one.p95_ms, 1), round(one.kilobytes, 1)] for page, one in found.items()
        }
        return shown | {"worst_p95_ms": max(one.p95_ms for one in found.values()), "web_grew_mb": grew_mb}


def _change(served: Product) -> Found:
    with worker(served):
        return screens.after_a_change(served)


def _cost(served: Product) -> Found:
    """CPU of a process that has nothing to do, in percent of a core: heartbeats, sampling and all; nobody looks."""
    with worker(served) as one, worker(served, queue="batch,default") as other:
        pids = {
            "realtime worker": one,
            "batch worker": other,
            "steward": served.pids["steward"],
            "web": served.pids["web"],
        }
        before = {name: cpu_s(pid) for name, pid in pids.items()}
        time.sleep(IDLE_S)
        return {f"{name}, %": round((cpu_s(pid) - before[name]) / IDLE_S * 100, 2) for name, pid in pids.items()}


def _flower(served: Product) -> Found:
    """The same tasks in Flower's eyes: how many it counted, what it takes and holds."""
    with worker(served) as pid, beside_flower.flower(served) as (address, flower_pid):
        before = _succeeded(served)
        spent = {name: cpu_s(one) for name, one in (("flower", flower_pid), ("worker", pid))}
        many(served.port, Ours(served).predict, 32, TASKS)
        wait_until(lambda: beside_flower.seen(address) >= TASKS, "Flower has seen the tasks", 60)
        found: Found = {"tasks": TASKS, "ours": _succeeded(served) - before, "flower": beside_flower.seen(address)}
        found |= {f"cpu_{name}_s": cpu_s(one) - spent[name] for name, one in (("flower", flower_pid), ("worker", pid))}
        return found | beside_flower.pages(address, flower_pid)


def _succeeded(served: Product) -> int:
    with database(served) as stored:
        return int(stored.value("SELECT count(*) FROM predictions_job WHERE state = 'succeeded'"))


MEASURES: dict[str, Callable[[Product], Found]] = {
    "pages": _pages,
    "kill": screens.after_a_kill,
    "change": _change,
    "cost": _cost,
    "flower": _flower,
}


if __name__ == "__main__":
    main()

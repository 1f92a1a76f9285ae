"""`make durability-cost`: what claim, lease and fence cost a single prediction, against a worker without them.

Both workers serve the same web and steward, one after the other, A B A B; each round is as many idle requests as said.
Prints the medians of the rounds and their ratio. CPU is the worker's own, user and system.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from dataclasses import dataclass
from itertools import count

import httpx
import psutil

from benchmarks.product import Product, process, product, worker_command

ROUNDS = int(os.environ.get("ROUNDS", "4"))
REQUESTS = 200
WARM_UP = 30
VECTOR = [0.0] * 64
WITH, WITHOUT = "inference_site", "benchmarks.without_leases"
_numbers = count(1)


@dataclass(frozen=True)
class Round:
    p50_ms: float
    p99_ms: float
    cpu_ms: float


def main() -> None:
    rounds: dict[str, list[Round]] = {WITH: [], WITHOUT: []}
    with product() as served:
        for number in range(2 * ROUNDS):
            app = (WITH, WITHOUT)[number % 2]
            rounds[app].append(one_round(served, app))
            print(f"{'with' if app == WITH else 'without'}: {rounds[app][-1]}", file=sys.stderr)
    say(rounds)


def one_round(served: Product, app: str) -> Round:
    name = f"realtime{next(_numbers)}"
    with process(worker_command("realtime", name, app=app), served.env) as worker, served.client() as client:
        for _ in range(WARM_UP):
            predict(client)
        cpu = psutil.Process(worker.pid)
        before, took_ms = cpu.cpu_times(), sorted(predict(client) for _ in range(REQUESTS))
        after = cpu.cpu_times()
    spent_s = after.user + after.system - before.user - before.system
    return Round(statistics.median(took_ms), took_ms[int(REQUESTS * 0.99) - 1], spent_s * 1000 / REQUESTS)


def predict(client: httpx.Client) -> float:
    """Milliseconds until the answer."""
    begun = time.perf_counter()
    answer = client.post("/predict", json=VECTOR, headers={"Prefer": "wait=60"})
    took_ms = (time.perf_counter() - begun) * 1000
    if answer.json().get("status") != "succeeded":
        raise SystemExit(answer.text)
    return took_ms


def say(rounds: dict[str, list[Round]]) -> None:
    print(f"idle POST predict, Prefer: wait; medians of {ROUNDS} rounds of {REQUESTS}, alternating")
    for unit in ("p50_ms", "p99_ms", "cpu_ms"):
        held, bare = (statistics.median(getattr(one, unit) for one in rounds[app]) for app in (WITH, WITHOUT))
        print(f"{unit:7} with {held:6.2f}  without {bare:6.2f}  ratio {held / bare:.2f}")


if __name__ == "__main__":
    main()

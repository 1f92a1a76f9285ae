"""How a client speaks to each side: the same vectors, one connection, until the answer is there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator
from itertools import cycle, islice
from typing import Protocol

import numpy as np

from benchmarks import client
from benchmarks.client import Answer, request
from benchmarks.figures import latencies
from benchmarks.plain import Plain
from benchmarks.processes import ROOT, Spending
from benchmarks.product import Product

DIGITS = ROOT / "predictions" / "demo" / "digits.csv"
VECTORS = 256
PAUSE_S = 0.002
GRACE_S = 60.0
Part = Generator[bytes | float, Answer, bool]
"""A piece of a script; its value says whether all went well."""


class Side(Protocol):
    port: int

    def predict(self, number: int) -> Part:
        """Submit vector `number` and have its prediction."""

    def submit(self, number: int) -> Part:
        """Submit it and go on."""


class Ours:
    def __init__(self, served: Product, model: str | None = None) -> None:
        self.port = served.port
        whole = (
            bodies() if model is None else [b'{"model": "%s", "input": %s}' % (model.encode(), one) for one in bodies()]
        )
        key = f"Bearer {served.key}"
        self._waiting = [request("POST", "/api/v1/predict", one, Authorization=key, Prefer="wait=30") for one in whole]
        self._bare = [request("POST", "/api/v1/predict", one, Authorization=key) for one in whole]

    def predict(self, number: int) -> Part:
        answer = yield self._waiting[number % VECTORS]
        return answer.status == 200 and b"succeeded" in answer.body

    def submit(self, number: int) -> Part:
        answer = yield self._bare[number % VECTORS]
        return answer.status == 202


class Polling:
    """The recipe's only way to an answer: ask again and again. every_s: between two questions."""

    def __init__(self, served: Plain, every_s: float = 0.005) -> None:
        self.port, self._every_s = served.port, every_s
        self._submitting = [request("POST", "/predict", one) for one in bodies()]

    def predict(self, number: int) -> Part:
        answer = yield self._submitting[number % VECTORS]
        question = request("GET", f"/fixed/{json.loads(answer.body)['task_id']}")
        while True:
            answer = yield question
            if answer.status != 200 or b'"completed"' in answer.body:
                return answer.status == 200
            yield self._every_s

    def submit(self, number: int) -> Part:
        answer = yield self._submitting[number % VECTORS]
        return answer.status == 200


class Ping:
    """A bare ASGI application: what HTTP alone costs. `predict` is one request."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._asking = [request("POST", "/", one) for one in bodies()]

    def predict(self, number: int) -> Part:
        answer = yield self._asking[number % VECTORS]
        return answer.status == 200


def bodies() -> list[bytes]:
    """Digits scaled to 0 to 1, as the recipe's model wants them; ours is sent the same bytes."""
    rows = np.loadtxt(DIGITS, delimiter=",", skiprows=1, dtype=np.float64)[:VECTORS, :64] / 16.0  # (VECTORS, 64)
    return [json.dumps(row.round(4).tolist()).encode() for row in rows]


def load(port: int, act: Callable[[int], Part], clients: int, seconds: float, spending: Spending) -> dict[str, float]:
    """So many clients for so long, each beginning anew as soon as it is done."""
    took_s: list[float] = []
    begun = time.perf_counter()

    def script(first: int) -> client.Script:
        for number in islice(cycle(range(VECTORS)), first, None):
            if time.perf_counter() - begun > seconds:
                return
            since = time.perf_counter()
            insist((yield from act(number)))
            took_s.append(time.perf_counter() - since)

    client.run(port, [script(index * 37 % VECTORS) for index in range(clients)], seconds + GRACE_S)
    elapsed_s = time.perf_counter() - begun
    return {"per_s": len(took_s) / elapsed_s, **latencies(took_s), **spending.ms_each(len(took_s))}


def one_by_one(port: int, act: Callable[[int], Part], requests: int) -> dict[str, float]:
    """One client on an idle system, with a breath between two requests."""
    took_s: list[float] = []

    def script() -> client.Script:
        for number in range(requests):
            since = time.perf_counter()
            insist((yield from act(number)))
            took_s.append(time.perf_counter() - since)
            yield PAUSE_S

    client.run(port, [script()], GRACE_S)
    return latencies(took_s)


def many(port: int, act: Callable[[int], Part], clients: int, requests: int) -> None:
    """So many requests in all."""
    numbers = iter(range(requests))

    def script() -> client.Script:
        for number in numbers:
            insist((yield from act(number)))

    client.run(port, [script() for _ in range(clients)], GRACE_S)


def insist(went_well: bool) -> None:
    """A benchmark of answers that are errors would be fast."""
    if not went_well:
        raise SystemExit("A request did not end well; see the kept logs.")

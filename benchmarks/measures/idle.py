"""One client on an idle system: ours, polling every 5 and every 1 ms, and the two floors below them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from benchmarks.figures import Runs, alternate, latencies
from benchmarks.floor import ANSWERED, ASKED
from benchmarks.processes import free_port, listens, process, wait_until
from benchmarks.sides import PAUSE_S, Ping, Polling, bodies, one_by_one
from benchmarks.stage import IS_QUICK, ROUNDS, Stage, say, workers

REQUESTS = 100 if IS_QUICK else 250
EVERY_S = (0.005, 0.001)


def idle(on: Stage) -> Runs:
    with workers(on), _floor(on) as floor, _ping() as ping:
        often = [Polling(on.recipe, every_s) for every_s in EVERY_S]
        sides = {
            "ours": lambda: one_by_one(on.ours.port, on.ours.predict, REQUESTS),
            "plain": lambda: one_by_one(often[0].port, often[0].predict, REQUESTS),
            "plain at 1 ms": lambda: one_by_one(often[1].port, often[1].predict, REQUESTS),
            "floor": lambda: _round_trips(floor, REQUESTS),
            "ping": lambda: one_by_one(ping.port, ping.predict, REQUESTS),
        }
        return alternate(ROUNDS, sides, say)


@contextmanager
def _floor(on: Stage) -> Iterator[redis.Redis]:
    """The recipe's Redis, with something that answers behind it."""
    model = on.recipe.folder / "model_scripted.pt"
    command = [sys.executable, "-m", "benchmarks.floor", str(on.recipe.redis_port), str(model)]
    asking = on.recipe.broker()
    with process(command, dict(os.environ), name="floor"):
        _round_trips(asking, 50)
        yield asking


@contextmanager
def _ping() -> Iterator[Ping]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "benchmarks.ping:application", "--port", str(port), "--no-access-log"]
    with process(command, dict(os.environ), name="ping"):
        wait_until(lambda: listens(port), "the bare ASGI application listens")
        yield Ping(port)


def _round_trips(broker: redis.Redis, requests: int) -> dict[str, float]:
    took_s = []
    for body in (bodies() * (requests // 256 + 1))[:requests]:
        since = time.perf_counter()
        broker.lpush(ASKED, body)
        broker.brpop([ANSWERED], timeout=60)
        took_s.append(time.perf_counter() - since)
        time.sleep(PAUSE_S)
    return latencies(took_s)

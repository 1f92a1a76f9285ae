"""5,000 jobs wait; a worker starts: from the first that it takes to the last outcome that is recorded."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from uuid import uuid4

import redis

from benchmarks.database import Database, database
from benchmarks.figures import Runs, alternate
from benchmarks.plain import QUEUE, plain_worker
from benchmarks.processes import Spending, wait_until
from benchmarks.product import Product, starting_worker
from benchmarks.sides import many
from benchmarks.stage import IS_QUICK, ROUNDS, Stage, say, waiting

JOBS = 2000 if IS_QUICK else 5000
CLIENTS = 32
LOOKS_EVERY_S = 0.01
COPIED_AT_ONCE = 500
OPEN = "SELECT count(*) FROM predictions_job WHERE state IN ('queued', 'running')"
QUEUED = "SELECT count(*) FROM predictions_job WHERE state = 'queued'"


def drain(on: Stage) -> Runs:
    sides = {"ours": lambda: drained_by(on, starting_worker, on.served), "plain": lambda: _plain(on)}
    return alternate(ROUNDS, sides, say)


def drained_by(
    on: Stage, worker: Callable[[Product], AbstractContextManager[int]], served: Product
) -> dict[str, float]:
    """Submitted through the API; the end of each is its row in the database. served: as the worker is to see it."""
    many(on.served.port, on.ours.submit, CLIENTS, JOBS)
    broker = redis.Redis.from_url(on.served.redis_url)
    wait_until(lambda: waiting(broker) >= JOBS, "every message is published")
    with database(on.served) as stored, worker(served) as pid:
        return _timed(lambda: _left(stored), {"worker": pid, "redis": on.served.pids["redis"]})


def _left(stored: Database) -> tuple[int, int]:
    """Not taken; not ended."""
    return int(stored.value(QUEUED)), int(stored.value(OPEN))


def _plain(on: Stage) -> dict[str, float]:
    """One message as the recipe's `delay` writes it, and copies of it with ids of their own."""
    broker, results = on.recipe.broker(), on.recipe.results()
    broker.flushall()
    many(on.recipe.port, on.plain.submit, 1, 1)
    _copy_message(broker, JOBS - 1)

    def left() -> tuple[int, int]:
        queued = int(broker.llen(QUEUE))
        return queued, JOBS - int(results.dbsize()) + int(broker.hlen("unacked"))

    with plain_worker(on.recipe) as pid:
        found = _timed(left, {"worker": pid, "redis": on.recipe.pids["redis"]})
    broker.flushall()
    return found


def _copy_message(broker: redis.Redis, copies: int) -> None:
    waits = broker.lindex(QUEUE, 0)
    assert isinstance(waits, bytes)
    text = waits.decode()
    headers = json.loads(text)
    task_id, tag = headers["headers"]["id"], headers["properties"]["delivery_tag"]
    for first in range(0, copies, COPIED_AT_ONCE):
        fresh = (text.replace(task_id, str(uuid4())).replace(tag, str(uuid4())) for _ in range(COPIED_AT_ONCE))
        broker.lpush(QUEUE, *list(fresh)[: copies - first])


def _timed(left: Callable[[], tuple[int, int]], pids: dict[str, int]) -> dict[str, float]:
    """left: how many are not taken, how many not done with."""
    wait_until(lambda: left()[0] < JOBS, "the worker takes its first job", every_s=LOOKS_EVERY_S)
    begun, spending = time.perf_counter(), Spending(pids)
    wait_until(lambda: left()[1] <= 0, "the last outcome is recorded", every_s=LOOKS_EVERY_S)
    elapsed_s = time.perf_counter() - begun
    return {"per_s": JOBS / elapsed_s, "seconds": elapsed_s, **spending.ms_each(JOBS)}

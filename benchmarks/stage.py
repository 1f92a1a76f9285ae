"""What a run measures on: the product and the plain recipe side by side, each with its own Redis, idle but for one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import redis

from benchmarks.database import database
from benchmarks.plain import Plain, plain, plain_worker
from benchmarks.processes import child_with
from benchmarks.product import Product, product, worker
from benchmarks.sides import Ours, Polling, one_by_one

DATABASE = os.environ.get("DATABASE", "sqlite")  # or postgres
IS_QUICK = bool(os.environ.get("QUICK"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
say: Callable[[str], None] = partial(print, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Stage:
    served: Product
    recipe: Plain

    @property
    def ours(self) -> Ours:
        return Ours(self.served)

    @property
    def plain(self) -> Polling:
        return Polling(self.recipe)

    def clear(self) -> None:
        """What waits on either side is gone, in its database and its broker. Without workers only."""
        with database(self.served) as stored:
            stored.run("DELETE FROM predictions_job WHERE state = 'queued'")
        broker = redis.Redis.from_url(self.served.redis_url)
        for key in waiting_keys(broker):
            broker.delete(key)
        self.recipe.broker().flushall()


@contextmanager
def stage(database_url: str | None, more_pids: Mapping[str, int]) -> Iterator[Stage]:
    """database_url: an empty one; SQLite where none is given. more_pids: processes whose CPU is of interest as well."""
    with ExitStack() as stack:
        served = stack.enter_context(product(database_url))
        served.pids.update(more_pids)
        yield Stage(served, stack.enter_context(plain()))


@contextmanager
def workers(on: Stage) -> Iterator[dict[str, int]]:
    """The pid of each side's worker, both ready."""
    with worker(on.served) as ours, plain_worker(on.recipe) as theirs:
        for side in (on.ours, on.plain):
            one_by_one(side.port, side.predict, 30)
        yield {"ours": ours, "plain": theirs}


def own_database(stack: ExitStack) -> tuple[str | None, dict[str, int]]:
    """The address of an empty one, None for SQLite's file; and its processes."""
    if DATABASE == "sqlite":
        return None, {}
    from tests.postgres import cluster  # it sets its own surroundings: only where it is wanted

    url = stack.enter_context(cluster(durable=True))
    _create_database(url)
    return url, {"database": child_with(os.getpid(), "postgres")}


def beside(url: str, folder: Path, name: str) -> str:
    """The address of another empty one: a file in the folder, or one in the same cluster."""
    if url.startswith("sqlite"):
        return f"sqlite:///{folder / 'dashboard.sqlite3'}"
    other = urlsplit(url)._replace(path=f"/{name}").geturl()
    _create_database(other)
    return other


def _create_database(url: str) -> None:
    """Of a PostgreSQL that runs. url: its name is the path."""
    parts = urlsplit(url)
    with psycopg.connect(parts._replace(path="/postgres").geturl(), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{parts.path.lstrip("/")}"')


def waiting_keys(broker: redis.Redis) -> list[bytes]:
    """The lists of the queue `realtime`, one a band."""
    return [key for key in broker.scan_iter("realtime*", count=1000) if broker.type(key) == b"list"]


def waiting(broker: redis.Redis) -> int:
    return sum(int(broker.llen(key)) for key in waiting_keys(broker))

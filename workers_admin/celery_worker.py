"""Celery's own worker in this process: what it consumes and how large its pool is, and how it is told to change that.

Looked at by the heartbeat's thread; every change is made on Celery's loop, which also knows it while a task runs.
"""

from __future__ import annotations

import os
from typing import Any

from celery.utils.log import get_logger

from predictions.queues import POOL
from predictions.vitals import vitals

log = get_logger(__name__)
PREFORK = "prefork"
CUSTOM = "custom"


class CeleryWorker:
    """controller: Celery's WorkController, whose consumer and pool come only once it has started."""

    def __init__(self, controller: Any) -> None:
        self._controller = controller

    @property
    def _consumer(self) -> Any:
        return getattr(self._controller, "consumer", None)

    @property
    def _pool(self) -> Any:
        return getattr(self._controller, "pool", None)

    @property
    def pool_name(self) -> str:
        return pool_name(self._controller.pool_cls)

    @property
    def queues(self) -> list[str]:
        """What is served now; before there is a consumer, what will be."""
        return self._consumer.served if self._consumer else [*self._controller.app.amqp.queues.consume_from]

    @property
    def pool_size(self) -> int:
        return int(self._pool.num_processes) if self._pool else 1

    @property
    def may_resize(self) -> bool:
        """Celery's autoscaler would undo what somebody else does to the pool."""
        return self.pool_name == PREFORK and getattr(self._controller, "autoscaler", None) is None

    @property
    def pids(self) -> list[int]:
        """Of the processes that run tasks."""
        children = getattr(getattr(self._pool, "_pool", None), "_pool", None)
        return [child.pid for child in children] if self.pool_name == PREFORK and children else [os.getpid()]

    def serve(self, queues: list[str]) -> None:
        """These from now on."""
        if self._consumer:
            self._consumer.call_soon(self._serve, queues)

    def _serve(self, queues: list[str]) -> None:
        self._consumer.serve(queues)
        vitals.changed.set()

    def resize(self, processes: int) -> None:
        """Down, one idle process after another: while all are busy nothing changes, and one asks again."""
        if self._consumer and self.may_resize:
            self._consumer.call_soon(self._resize, processes)

    def _resize(self, processes: int) -> None:
        while processes > self.pool_size:
            self._pool.grow(1)
            self._consumer._update_prefetch_count(1)
        while processes < self.pool_size and self._shrink():
            self._consumer._update_prefetch_count(-1)
        vitals.changed.set()

    def _shrink(self) -> bool:
        try:
            self._pool.shrink(1)
        except ValueError:  # all are busy
            return False
        return True


def pool_name(pool: type) -> str:
    """As one asks for it on the command line."""
    return CUSTOM if f"{pool.__module__}:{pool.__name__}" == POOL else pool.__module__.rsplit(".", 1)[-1]

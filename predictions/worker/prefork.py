"""Celery's prefork pool and its `--autoscale`, which end no child that has work, and none that is needed again at once."""

from __future__ import annotations

import gc
from time import monotonic
from typing import Any

from celery.concurrency.asynpool import AsynPool
from celery.concurrency.prefork import TaskPool
from celery.signals import worker_before_create_process
from celery.worker.autoscale import Autoscaler as CelerysAutoscaler


class Pool(AsynPool):
    """Celery's takes a child for idle until it has said that it began.

    So one that shrank under load ended children with a job in their pipe; each cost its job an attempt and ten seconds.
    """

    def _worker_active(self, worker: Any) -> bool:
        """Who a job was written to, or will be, has it."""
        jobs = self._cache.values()
        return any(worker in (job._write_to, job._scheduled_for) for job in jobs) or super()._worker_active(worker)


class Autoscaler(CelerysAutoscaler):
    """Celery's shrinks whenever fewer tasks are in hand than there are children, which short tasks bring about at once.

    It then grew again with the next message, and a child takes seconds to load its model.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._most, self._since = 0, monotonic()

    def _maybe_scale(self, req: Any = None) -> bool:
        """True where it grew or shrank: to what was in hand at most within the last `keepalive` seconds."""
        self._most = max(self._most, min(self.qty, self.max_concurrency))
        if self._most > self.processes:
            self._grow(self._most - self.processes)
            return True
        if monotonic() - self._since < self.keepalive:
            return False
        needed, self._most, self._since = max(self._most, self.min_concurrency), 0, monotonic()
        if needed < self.processes:
            self._shrink(self.processes - needed)
        return True


@worker_before_create_process.connect
def leave_what_is_loaded_to_itself(**_: Any) -> None:
    """Celery collects garbage before each fork, while nothing is done: with torch loaded that takes a third of a second."""
    gc.freeze()


TaskPool.Pool = Pool

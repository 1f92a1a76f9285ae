"""Celery's prefork pool, which must not end a child that has work when it shrinks.

Celery takes a child for idle until the child has said that it began (celery.concurrency.asynpool): one that shrank under load ended
children with a job in their pipe, and each job so lost cost it an attempt and ten seconds. `--autoscale` does that again and again.
"""

from __future__ import annotations

from typing import Any

from celery.concurrency.asynpool import AsynPool
from celery.concurrency.prefork import TaskPool


class Pool(AsynPool):
    def _worker_active(self, worker: Any) -> bool:
        """Who a job was written to, or will be, has it."""
        jobs = self._cache.values()
        return any(worker in (job._write_to, job._scheduled_for) for job in jobs) or super()._worker_active(worker)


TaskPool.Pool = Pool

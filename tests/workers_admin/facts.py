"""The domain's words for tests of the console: a queue's depth, a worker's row, and facts where all is well."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from predictions import workers
from predictions.clock import Clock
from predictions.models import utc_now
from predictions.queues import QUEUES
from predictions.workers import Node, Worker
from workers_admin.conditions import Condition, Facts, conditions
from workers_admin.depths import QueueDepth


def depth(name: str = "realtime", **differs: Any) -> QueueDepth:
    calm = {
        "name": name,
        "waiting": 0,
        "waiting_by_priority": {},
        "unacked": 0,
        "unpublished": 0,
        "missing": 0,
        "database_queued": 0,
        "stale": 0,
        "running": 0,
        "consumers": 1,
        "oldest_wait_s": None,
    }
    return QueueDepth(**{**calm, **differs})


def process(name: str = "realtime@here", age_s: float = 0.0, **differs: Any) -> Worker:
    """A row of the table, as a worker that reported `age_s` ago left it."""
    calm = {
        "state": "idle",
        "model": "digits@1",
        "model_state": "ready",
        "queues": ["realtime"],
        "started": utc_now() - timedelta(hours=1),
        "pid": os.getpid(),
        "celery_at": Clock(),
    }
    facts = {**calm, **differs}
    pid = facts.pop("pid")
    workers.report(name, pid, "here", facts)
    rows = Worker.objects.filter(name=name, pid=pid)
    rows.update(beat_at=rows.get().beat_at - age_s)
    return rows.get()


def a_node(**differs: Any) -> Node:
    process(**differs)
    (node,) = workers.nodes()
    return node


def found(**differs: Any) -> list[Condition]:
    """The conditions of facts that are all well but for what is given."""
    well: dict[str, Any] = {
        "depths": [depth(queue) for queue in QUEUES],
        "nodes": [],
        "steward_age_s": 1.0,
        "redis_address": "redis://127.0.0.1:6379/0",
    }
    return conditions(Facts(**{**well, **differs}))

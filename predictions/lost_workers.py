"""What a lost worker had fetched ahead: Redis holds it back for a minute, so it is published again."""

from __future__ import annotations

from typing import Any

import redis

from predictions import broker, lost_messages
from predictions.clock import Clock
from predictions.leases import LEASE_S
from predictions.queues import QUEUES
from predictions.workers import Worker

# Celery fetches one message more while it works on another; duplicates cost a no-op each, so the bound is a wide one.
PREFETCHES = 2


def publish_what_they_held() -> int:
    """Once for each process that stopped to report and said no goodbye; returns how many messages are due again."""
    try:
        return sum(_give_up(worker) for worker in _lost().order_by("pk"))
    except redis.RedisError:
        return 0


def _lost() -> Any:
    return Worker.objects.filter(beat_at__lt=Clock() - LEASE_S, ended=False, given_up=False)


def _give_up(worker: Worker) -> int:
    """Redis is asked first: a worker is given up only where it answered. Of two stewards one UPDATE finds it."""
    held = {queue: broker.delivered(queue) for queue in QUEUES if queue in worker.queues}
    if not _lost().filter(pk=worker.pk).update(given_up=True):
        return 0
    most = PREFETCHES * worker.prefetch or lost_messages.AT_ONCE
    return sum(_publish_again(queue, messages, most) for queue, messages in held.items())


def _publish_again(queue: str, held: list[tuple[str, str]], most: int) -> int:
    """Nobody notes who holds a message: the first delivered go first, and one that a living worker holds goes out twice."""
    awaited = lost_messages.awaited_of(queue, {job_id for _, job_id in held})
    rows = {lost_messages.task_id(row): row for row in awaited}
    return lost_messages.replace(queue, [rows[task_id] for task_id, _ in held if task_id in rows][:most])

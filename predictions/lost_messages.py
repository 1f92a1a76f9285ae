"""Finds the messages that Redis lost one by one: a worker that is killed while it takes one leaves it nowhere (facts 3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import redis
from django.db.models import Q, QuerySet

from predictions import broker, dispatch
from predictions.clock import Clock
from predictions.models import OPEN, Chunk, Export, Job, Kind, State
from predictions.queues import BATCH, DEFAULT, QUEUES, REALTIME

# A message may be on its way; one that is missing at three looks in a row is not.
LOOKS = 3
AT_ONCE = 1_000
# Above this many, messages are counted and not read: reading them takes about a second.
TOLD_APART = 20_000
# What a row's message is found by; a vector is not read for it.
NAMED_BY = {REALTIME: ("attempt",), BATCH: ("job_id", "number", "attempt"), DEFAULT: ("job_id", "format", "attempt")}


class Census:
    """Compares, look by look, what the database awaits in each queue with what Redis holds."""

    def __init__(self) -> None:
        self._short = Counter[str]()

    def check(self) -> int:
        """Has the missing ones published again; returns how many."""
        try:
            held = broker.depths()
            return sum(self._look(queue, held[queue].waiting + held[queue].unacked) for queue in QUEUES)
        except redis.RedisError:
            return 0

    def _look(self, queue: str, held: int) -> int:
        lacking = _sent(queue).count() + _running(queue) - held
        self._short[queue] = self._short[queue] + 1 if lacking > 0 else 0
        if self._short[queue] < LOOKS:
            return 0
        lost = _likely_lost(queue, lacking) if held > TOLD_APART else _not_in_redis(queue)
        # There may be more than are sent at once; those are looked for at the next look.
        self._short[queue] = LOOKS - 1 if len(lost) == AT_ONCE else 0
        return replace(queue, lost)


def replace(queue: str, rows: Iterable[Any]) -> int:
    """Have the messages of these rows published again, none twice in half a minute; returns how many.

    The condition is asked again: a row that was claimed meanwhile needs no message.
    """
    calm = Q(republished_at=None) | Q(republished_at__lt=Clock() - dispatch.AGAIN_AFTER_S)
    due = {"publish_at": Clock(), "republished_at": Clock()}
    if queue == DEFAULT:  # an export does not note when: they are few, and a message too many finds nothing to claim
        calm, due = Q(), {"publish_at": Clock()}
    return sum(_sent(queue).filter(calm, pk=row.pk, attempt=row.attempt).update(**due) for row in rows)


def awaited_of(queue: str, job_ids: Iterable[str]) -> QuerySet[Any]:
    """Rows of these jobs whose message was sent and not yet taken."""
    return _sent(queue).filter(**{"pk__in" if queue == REALTIME else "job_id__in": job_ids})


def task_id(row: Job | Chunk | Export) -> str:
    """The id of the message that a row awaits."""
    if isinstance(row, Export):
        return dispatch.task_id_of_export(row)
    return str(row.pk) if isinstance(row, Job) else dispatch.task_id_of(row)


def _sent(queue: str) -> QuerySet[Any]:
    """Rows whose message was sent and not yet taken."""
    if queue == REALTIME:
        return Job.objects.filter(queue=queue, kind=Kind.REALTIME, state=State.QUEUED, publish_at=None)
    if queue == DEFAULT:
        return Export.objects.filter(state=Export.State.QUEUED, publish_at=None)
    return Chunk.objects.filter(job__queue=queue, job__state__in=OPEN, state=Chunk.State.RESERVED, publish_at=None)


def _running(queue: str) -> int:
    """A worker acknowledges what it runs when it is done."""
    if queue == REALTIME:
        return Job.objects.filter(queue=queue, kind=Kind.REALTIME, state=State.RUNNING).count()
    if queue == DEFAULT:
        return Export.objects.filter(state=Export.State.RUNNING).count()
    return Chunk.objects.filter(job__queue=queue, job__state__in=OPEN, state=Chunk.State.RUNNING).count()


def _not_in_redis(queue: str) -> list[Any]:
    """The rows are read before the messages: one that is taken in between has been claimed."""
    rows = list(_sent(queue).only(*NAMED_BY[queue]).order_by("pk"))
    held = broker.held_ids(queue)
    return [row for row in rows if task_id(row) not in held][:AT_ONCE]


def _likely_lost(queue: str, lacking: int) -> list[Any]:
    """A worker that dies takes along what goes first."""
    urgency = {REALTIME: ("-priority", "lane"), BATCH: ("-job__priority", "job__lane"), DEFAULT: ("-job__priority",)}[
        queue
    ]
    return list(_sent(queue).only(*NAMED_BY[queue]).order_by(*urgency, "pk")[: min(lacking, AT_ONCE)])

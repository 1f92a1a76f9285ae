"""How deep each queue is: what Redis holds, what the database expects there, and where the two disagree.

The unit is what a message is sent for: a job on `realtime`, a part that is due on `batch`, a file to make on `default`. For each queue
database_queued = waiting + unacked + unpublished + missing - stale - running.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import redis
from django.db.models import Count, Min, Q, QuerySet

from predictions import broker, workers
from predictions.models import ENDED, OPEN, Chunk, Export, Job, Kind, State, utc_now
from predictions.pauses import paused_queues
from predictions.queues import BATCH, DEFAULT, QUEUES, REALTIME
from workers_admin.messages import About, Held, held

# Above this many, messages are counted and not told apart: of missing and stale only the excess is seen then.
TOLD_APART = 2_000


@dataclass(frozen=True)
class QueueDepth:
    """None: Redis could not be asked, and broker_error says why. running: those in the hands of a worker."""

    name: str
    waiting: int | None
    waiting_by_priority: dict[int, int] | None
    unacked: int | None
    unpublished: int
    missing: int | None
    database_queued: int
    stale: int | None
    running: int
    oldest_wait_s: float | None
    consumers: int = 0
    paused: bool = False
    broker_error: str = ""


@dataclass
class Expected:
    """What the database awaits in one queue, each unit once: those sent, those not yet sent, and those running."""

    sent: set[About] = field(default_factory=set)
    unsent: set[About] = field(default_factory=set)
    running: set[About] = field(default_factory=set)

    @property
    def queued(self) -> int:
        return len(self.sent) + len(self.unsent)


@dataclass(frozen=True)
class Rows:
    """The same in numbers. queued: sent or not."""

    queued: int
    unsent: int
    running: int
    oldest_wait_s: float | None


@dataclass(frozen=True)
class Compared:
    unpublished: int
    missing: int
    stale: int
    running: int


def depths(silence: str = "") -> list[QueueDepth]:
    """Every queue. Redis is read first: what ends meanwhile looks stale for a moment, and never lost.

    silence: the sentence for a Redis that is known not to answer, which is not asked then.
    """
    counted, error = ({}, silence) if silence else _counted()
    paused, living = paused_queues(), [node for node in workers.nodes() if node.is_alive]
    return [
        replace(
            _depth(queue, counted.get(queue), error),
            consumers=sum(queue in node.queues for node in living),
            paused=queue in paused,
        )
        for queue in QUEUES
    ]


def parts_not_due(queue: str) -> int:
    """Of batches that go on."""
    if queue != BATCH:
        return 0
    return Chunk.objects.filter(job__state__in=OPEN, job__queue=queue, state=Chunk.State.QUEUED).count()


def _counted() -> tuple[dict[str, broker.Depth], str]:
    try:
        return broker.depths(), ""
    except redis.RedisError as failed:
        return {}, _sentence(failed)


def _depth(queue: str, counted: broker.Depth | None, error: str) -> QueueDepth:
    """Asked once: a Redis that is frozen costs its two seconds once, and a deep queue is counted, not listed."""
    rows = _rows(queue)
    if counted is None:
        return _without_redis(queue, rows, error)
    if max(counted.waiting + counted.unacked, rows.queued + rows.running) > TOLD_APART:
        found = _by_count(rows, counted.waiting + counted.unacked)
        return _told(queue, counted.waiting_by_priority, counted.unacked, rows.queued, found, rows.oldest_wait_s)
    try:
        messages = held(queue)
    except redis.RedisError as failed:
        return _without_redis(queue, rows, _sentence(failed))
    expected = _expected(queue)
    waiting = {priority: len(band) for priority, band in messages.waiting.items()}
    found = compare(expected, messages)
    return _told(queue, waiting, len(messages.unacked), expected.queued, found, rows.oldest_wait_s)


def _told(
    queue: str, waiting: dict[int, int], unacked: int, queued: int, found: Compared, oldest_wait_s: float | None
) -> QueueDepth:
    return QueueDepth(
        name=queue,
        waiting=sum(waiting.values()),
        waiting_by_priority=waiting,
        unacked=unacked,
        unpublished=found.unpublished,
        missing=found.missing,
        database_queued=queued,
        stale=found.stale,
        running=found.running,
        oldest_wait_s=oldest_wait_s,
    )


def _without_redis(queue: str, rows: Rows, error: str) -> QueueDepth:
    return QueueDepth(
        name=queue,
        waiting=None,
        waiting_by_priority=None,
        unacked=None,
        unpublished=rows.unsent,
        missing=None,
        database_queued=rows.queued,
        stale=None,
        running=rows.running,
        oldest_wait_s=rows.oldest_wait_s,
        broker_error=error,
    )


def _sentence(failed: redis.RedisError) -> str:
    return f"Redis does not answer: {str(failed).rstrip('.') or type(failed).__name__}."


def _rows(queue: str) -> Rows:
    """What `_expected` lists, counted by the database, those that wait in one pass over their index."""
    waiting, running = _units(queue)
    counts = {"queued": Count("pk"), "unsent": Count("publish_at")}
    if queue == BATCH:  # a part is as old as its job
        found = waiting.aggregate(**counts) | _jobs_waiting(queue).aggregate(oldest=Min("created"))
    else:
        found = waiting.aggregate(**counts, oldest=Min("created"))
    return Rows(found["queued"], found["unsent"], running.count(), _wait_s(found["oldest"]))


def _jobs_waiting(queue: str) -> QuerySet[Job]:
    return Job.objects.filter(queue=queue, state=State.QUEUED)


def _units(queue: str) -> tuple[QuerySet[Any], QuerySet[Any]]:
    """What a message is sent for: (those that wait, those that run)."""
    if queue == REALTIME:
        jobs = Job.objects.filter(queue=queue, kind=Kind.REALTIME)
        return jobs.filter(state=State.QUEUED), jobs.filter(state=State.RUNNING)
    if queue == DEFAULT:
        return Export.objects.filter(state=Export.State.QUEUED), Export.objects.filter(state=Export.State.RUNNING)
    # "Not ended" rather than "open": so a database begins with the few chunks and not with every job that is open.
    chunks = Chunk.objects.filter(~Q(job__state__in=ENDED))
    return chunks.filter(state=Chunk.State.RESERVED), chunks.filter(state=Chunk.State.RUNNING)


def _expected(queue: str) -> Expected:
    """Row by row."""
    expected = Expected()
    for units in _units(queue):
        for about, state, publish_at in _abouts(queue, units):
            _add(expected, about, state == State.RUNNING, publish_at)
    return expected


def _abouts(queue: str, units: QuerySet[Any]) -> Iterator[tuple[About, str, float | None]]:
    """What runs of a batch, and a file that is made, was claimed by the attempt before its own."""
    if queue == REALTIME:
        for job_id, state, publish_at in units.values_list("pk", "state", "publish_at").iterator():
            yield About(job_id), state, publish_at
        return
    named = units.values_list("job_id", "pk", "attempt", "state", "publish_at")
    for job_id, pk, attempt, state, publish_at in named.iterator():
        yield About(job_id, pk, attempt - (state == State.RUNNING)), state, publish_at


def _add(expected: Expected, about: About, is_running: bool, publish_at: float | None) -> None:
    group = expected.running if is_running else expected.sent if publish_at is None else expected.unsent
    group.add(about)


def compare(expected: Expected, held: Held) -> Compared:
    """Message by message. What is held for a unit counts once; all else that is held is stale."""
    messages = set(held.messages)
    queued = (expected.sent | expected.unsent) & messages
    running = expected.running & messages
    turns = _turns(expected.running - running, Counter(held.unacked) - Counter(queued | running))
    return Compared(
        unpublished=len(expected.unsent - messages),
        missing=len(expected.sent - messages),
        stale=len(held.messages) - len(queued) - len(running) - turns,
        running=len(running) + turns,
    )


def _turns(running: set[About], unacked: Counter[About]) -> int:
    """A worker goes on with a batch's next part under the message of the one before it."""
    parts = Counter(about.job_id for about in running if about.chunk_id is not None)
    messages = Counter(about.job_id for about in unacked.elements() if about.chunk_id is not None)
    return (parts & messages).total()


def _by_count(rows: Rows, messages: int) -> Compared:
    lacking = rows.queued + rows.running - rows.unsent - messages
    return Compared(rows.unsent, max(0, lacking), max(0, -lacking), rows.running)


def _wait_s(since: datetime | None) -> float | None:
    return None if since is None else round(max(0.0, (utc_now() - since).total_seconds()), 3)

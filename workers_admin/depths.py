"""How deep each queue is: what Redis holds, what the database expects there, and where the two disagree.

The unit is what a message is sent for: a job on `realtime`, a part that is due on `batch`, a file to make on `default`. For each queue
database_queued = waiting + unacked + unpublished + missing - stale - running.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import redis
from django.db.models import Count, Min, Q, QuerySet

from predictions import broker, workers
from predictions.models import OPEN, Chunk, Export, Job, Kind, State, utc_now
from predictions.pauses import paused_queues
from predictions.queues import DEFAULT, QUEUES
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
    consumers: int
    oldest_wait_s: float | None
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
    paused = paused_queues()
    return [replace(_depth(queue, counted.get(queue), error), paused=queue in paused) for queue in QUEUES]


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
        return _told(queue, counted.waiting_by_priority, counted.unacked, rows.queued, found)
    try:
        messages = held(queue)
    except redis.RedisError as failed:
        return _without_redis(queue, rows, _sentence(failed))
    expected = _expected(queue)
    waiting = {priority: len(band) for priority, band in messages.waiting.items()}
    return _told(queue, waiting, len(messages.unacked), expected.queued, compare(expected, messages))


def _told(queue: str, waiting: dict[int, int], unacked: int, queued: int, found: Compared) -> QueueDepth:
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
        consumers=_consumers(queue),
        oldest_wait_s=_oldest_wait_s(queue),
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
        consumers=_consumers(queue),
        oldest_wait_s=_oldest_wait_s(queue),
        broker_error=error,
    )


def _sentence(failed: redis.RedisError) -> str:
    return f"Redis does not answer: {str(failed).rstrip('.') or type(failed).__name__}."


def _rows(queue: str) -> Rows:
    """What `_expected` lists, counted by the database."""
    jobs = Job.objects.filter(queue=queue, kind=Kind.REALTIME, state__in=OPEN)
    chunks = Chunk.objects.filter(job__queue=queue, job__state__in=OPEN)
    counts = [
        found.aggregate(
            queued=Count("pk", filter=Q(state=waits)),
            unsent=Count("pk", filter=Q(state=waits, publish_at__isnull=False)),
            running=Count("pk", filter=Q(state=runs)),
        )
        for found, waits, runs in (
            (jobs, State.QUEUED, State.RUNNING),
            (chunks, Chunk.State.RESERVED, Chunk.State.RUNNING),
            (_exports(queue), Export.State.QUEUED, Export.State.RUNNING),
        )
    ]
    return Rows(**{name: sum(count[name] for count in counts) for name in ("queued", "unsent", "running")})


def _expected(queue: str) -> Expected:
    """Vector jobs, and the parts of batches that are due; a part that runs was claimed by the attempt before its own."""
    expected = Expected()
    jobs = Job.objects.filter(queue=queue, kind=Kind.REALTIME, state__in=OPEN)
    for job_id, state, publish_at in jobs.values_list("pk", "state", "publish_at").iterator():
        _add(expected, About(job_id), state == State.RUNNING, publish_at)
    chunks = Chunk.objects.filter(
        job__queue=queue, job__state__in=OPEN, state__in=[Chunk.State.RESERVED, Chunk.State.RUNNING]
    )
    for job_id, pk, attempt, state, publish_at in chunks.values_list(
        "job_id", "pk", "attempt", "state", "publish_at"
    ).iterator():
        is_running = state == Chunk.State.RUNNING
        _add(expected, About(job_id, pk, attempt - is_running), is_running, publish_at)
    exports = _exports(queue).filter(state__in=[Export.State.QUEUED, Export.State.RUNNING])
    for job_id, pk, attempt, state, publish_at in exports.values_list("job_id", "pk", "attempt", "state", "publish_at"):
        is_running = state == Export.State.RUNNING
        _add(expected, About(job_id, pk, attempt - is_running), is_running, publish_at)
    return expected


def _exports(queue: str) -> QuerySet[Export]:
    return Export.objects.all() if queue == DEFAULT else Export.objects.none()


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


def _consumers(queue: str) -> int:
    return len(workers.live_workers(queue))


def _oldest_wait_s(queue: str) -> float | None:
    jobs, exports = (
        Job.objects.filter(queue=queue, state=State.QUEUED),
        _exports(queue).filter(state=Export.State.QUEUED),
    )
    oldest = (exports if queue == DEFAULT else jobs).aggregate(oldest=Min("created"))["oldest"]
    return None if oldest is None else round(max(0.0, (utc_now() - oldest).total_seconds()), 3)

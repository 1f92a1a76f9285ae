"""What the steward does about leftovers and the dead: publish what was not, rescue what lapsed."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

import redis
from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet

from predictions import broker, dispatch, exports, outcomes, turns
from predictions.clock import Clock
from predictions.live import say
from predictions.models import OPEN, Chunk, Export, Job, Kind, State, note, utc_now
from predictions.outcomes import Ending
from predictions.pauses import in_paused, is_paused
from predictions.queues import DEFAULT
from predictions.row_locks import in_id_order
from predictions.workers import Worker

Row = TypeVar("Row", Job, Chunk, Export)
AT_ONCE = 200
MOST_CRASHES = 3
RETRY_AFTER_S = 5.0
MOST_RETRIES = 2
# A gap in our own ticks, or a clock that jumped, means the living could not beat either: let them first.
GAP_S = 2.0
CLOCK_JUMP_S = 1.0
GRACE_S = 4.0
WORKER_ROWS_KEPT = timedelta(hours=1)


class Patience:
    """Says when nobody may be reaped: after a gap in the ticks or a jump of the clock, for four seconds."""

    def __init__(self) -> None:
        self._until = 0.0
        self._last: tuple[float, float] | None = None

    def may_reap(self, since_last_tick_s: float | None) -> bool:
        wall, steady = time.time(), time.monotonic()
        jump_s = 0.0 if self._last is None else abs((wall - self._last[0]) - (steady - self._last[1]))
        if (since_last_tick_s or 0.0) > GAP_S or jump_s > CLOCK_JUMP_S:
            self._until = steady + GRACE_S
        self._last = (wall, steady)
        return steady >= self._until


def publish_all_due(sender: dispatch.Sender) -> int:
    """Until nothing is due or the broker takes no more; returns how many."""
    published = 0
    while sent := publish_due(sender):
        published += sent
    return published


def publish_due(sender: dispatch.Sender) -> int:
    """Publish queued rows, reserved chunks and queued exports whose publish nobody confirmed, a few hundred at most; returns how many.

    Each kind is sent before the next is taken: what was taken and not sent is due only half a minute later.
    """
    published = 0
    for take in (_take_due_jobs, _take_due_chunks, _take_idle_batches, _take_due_exports):
        messages = take()
        sent = _send(sender, messages)
        published += sent
        if sent < len(messages):  # the broker takes no more now
            break
    return published


def _send(sender: dispatch.Sender, messages: list[dispatch.Message]) -> int:
    if not messages:
        return 0
    sent_at, sent = utc_now(), sender.send(messages)
    dispatch.confirm(sent, sent_at)
    dispatch.give_back(messages[len(sent) :])
    return len(sent)


def _take_due_jobs() -> list[dispatch.Message]:
    taken = _take(Job.objects.due().order_by("-priority", "lane", "pk"))
    return [dispatch.for_job(job) for job in sorted(taken, key=lambda job: (-job.priority, job.lane, job.pk))]


def _take_due_chunks() -> list[dispatch.Message]:
    due = Chunk.objects.filter(
        ~in_paused("job__queue"), state=Chunk.State.RESERVED, publish_at__lte=Clock(), job__state__in=OPEN
    )
    return [dispatch.for_chunk(chunk.job, chunk) for chunk in _take(due.select_related("job").order_by("pk"))]


def _take_due_exports() -> list[dispatch.Message]:
    if is_paused(DEFAULT):
        return []
    due = Export.objects.filter(state=Export.State.QUEUED, publish_at__lte=Clock())
    return [dispatch.for_export(export.job, export) for export in _take(due.select_related("job").order_by("pk"))]


def _take(first: QuerySet[Row]) -> list[Row]:
    """The rows are ours once they are locked, so that two stewards never publish the same one; in the order of ids."""
    with transaction.atomic():
        free = first.select_for_update(skip_locked=True, of=("self",))
        taken = sorted(free[:AT_ONCE], key=lambda row: row.pk)
        mine = first.model._default_manager.filter(pk__in=[row.pk for row in taken])
        mine.update(publish_at=Clock() + dispatch.AGAIN_AFTER_S)
    return taken


def _take_idle_batches() -> list[dispatch.Message]:
    """Batches of which no chunk is under way though some wait: a worker died between two turns."""
    chunks = Chunk.objects.filter(job=OuterRef("pk"))
    under_way = chunks.filter(state__in=[Chunk.State.RESERVED, Chunk.State.RUNNING])
    idle = Job.objects.filter(
        ~in_paused(),
        ~Exists(under_way),
        Exists(chunks.filter(state=Chunk.State.QUEUED)),
        kind=Kind.BATCH,
        state__in=OPEN,
        revoke_requested=False,
    )
    return [message for job in idle.order_by("pk")[:AT_ONCE] for message in turns.reserve(job.pk)]


def reap() -> int:
    """Queue again what a dead worker held, or end it: revoked where asked, failed at the third death.

    What somebody has locked is left for the next look: one who froze in a transaction must not keep the others' work.
    """
    # Both are chosen first: should a write have to wait, the living could not beat meanwhile.
    jobs = list(Job.objects.lapsed().order_by("pk")[:AT_ONCE])
    chunks = list(_lapsed_chunks().order_by("pk")[:AT_ONCE])
    lapsed = list(exports.lapsed().order_by("pk")[:AT_ONCE])
    return sum(map(_reap_job, jobs)) + sum(map(_reap_chunk, chunks)) + sum(map(exports.rescue, lapsed))


def _lapsed_chunks() -> QuerySet[Chunk]:
    return Chunk.objects.filter(state=Chunk.State.RUNNING, lease_until__lt=Clock())


def _reap_job(seen: Job) -> bool:
    with transaction.atomic():
        lapsed = Job.objects.lapsed().filter(pk=seen.pk, attempt=seen.attempt)
        job = lapsed.select_for_update(skip_locked=True).first()
        if job is None:
            return False
        job.crashes += 1
        queued = {"state": State.QUEUED, "crashes": job.crashes, "lease_until": None, "publish_at": Clock()}
        Job.objects.filter(pk=job.pk).change(**queued)
        if job.revoke_requested:
            _end_queued(job, Ending(State.REVOKED))
        elif job.crashes >= MOST_CRASHES:
            message = f"{job.crashes} workers died on it; the last was {job.worker}."
            _end_queued(job, Ending(State.FAILED, error={"code": "workers_died", "message": message}))
        else:
            note(job, f"{job.worker} stopped answering; queued again")
    say.jobs_changed([seen.pk])
    return True


def _end_queued(job: Job, ending: Ending) -> None:
    Job.objects.filter(pk=job.pk, state=State.QUEUED).change(state=ending.state)
    outcomes.end_many([job], ending)


def _reap_chunk(seen: Chunk) -> bool:
    with transaction.atomic():
        job = Job.objects.select_for_update(skip_locked=True).filter(pk=seen.job_id).first()
        lapsed = _lapsed_chunks().filter(pk=seen.pk, attempt=seen.attempt)
        if job is None or not lapsed.select_for_update(skip_locked=True).exists():
            return False
        if job.has_ended:  # it ended while this part ran; nobody died
            return bool(lapsed.update(state=Chunk.State.QUEUED, lease_until=None))
        lapsed.update(state=Chunk.State.RESERVED, crashes=F("crashes") + 1, lease_until=None, publish_at=Clock())
        Job.objects.filter(pk=job.pk).change(crashes=F("crashes") + 1)
        if job.revoke_requested:
            turns.end_if_stopped(job)
        elif seen.crashes + 1 >= MOST_CRASHES:
            last = seen.first_line + seen.rows - 1
            message = (
                f"{MOST_CRASHES} workers died on lines {seen.first_line:,} to {last:,}; the last was {seen.worker}."
            )
            turns.fail(job, {"code": "workers_died", "message": message})
        else:
            note(job, f"{seen.worker} stopped answering; part {seen.number + 1} is scored again")
    say.jobs_changed([seen.job_id])
    return True


def end_stopped() -> int:
    """End batches whose revocation was asked and of which nothing runs any more; returns how many."""
    asked = Job.objects.filter(kind=Kind.BATCH, state=State.RUNNING, revoke_requested=True)
    return sum(_end_if_stopped(job_id) for job_id in asked.order_by("pk").values_list("pk", flat=True)[:AT_ONCE])


def _end_if_stopped(job_id: UUID) -> bool:
    with transaction.atomic():
        job = Job.objects.select_for_update(skip_locked=True).filter(pk=job_id, state=State.RUNNING).first()
        return job is not None and turns.end_if_stopped(job) != State.RUNNING


def retry_later(job_id: UUID, attempt: int, reason: str) -> bool:
    """Queue a vector job again after an error of the device, by a time in the database; False where its retries are spent."""
    job = Job.objects.filter(pk=job_id).first()
    if job is None:
        return False
    if job.attempt == attempt and job.state == State.QUEUED and job.retries:  # done already; only the reply was lost
        return True
    if job.retries >= MOST_RETRIES:
        return False
    after = Clock() + RETRY_AFTER_S * 2**job.retries
    with transaction.atomic():
        held = Job.objects.filter(pk=job_id, state=State.RUNNING, attempt=attempt, revoke_requested=False)
        if not held.change(
            state=State.QUEUED, retries=F("retries") + 1, lease_until=None, run_after=after, publish_at=after
        ):
            return False
        note(job, f"{reason}; tried again in {RETRY_AFTER_S * 2**job.retries:.0f} s")
    say.jobs_changed([job_id])
    return True


def postpone(job_id: UUID, after_s: float) -> None:
    """The message was taken by a worker that cannot serve the model now: let the steward publish it later."""
    with transaction.atomic():
        Job.objects.filter(pk=job_id, state__in=OPEN).update(run_after=Clock() + after_s)
        Job.objects.filter(pk=job_id, state=State.QUEUED, kind=Kind.REALTIME).update(publish_at=Clock() + after_s)
        Chunk.objects.filter(job_id=job_id, state=Chunk.State.RESERVED).update(publish_at=Clock() + after_s)
        Export.objects.filter(job_id=job_id, state=Export.State.QUEUED).update(publish_at=Clock() + after_s)


def publish_what_redis_forgot() -> bool:
    """True where Redis no longer holds the mark: it lost what it had, and every message is published again.

    The resets are committed before the mark is set. Of two stewards the second finds the first one's mark.
    """
    try:
        if broker.is_marked():
            return False
        publish_all_again()
        broker.mark(utc_now().isoformat())
    except redis.RedisError:
        return False
    return True


def publish_all_again() -> None:
    """In a transaction for each kind, which locks in the order of ids."""
    sent = Chunk.objects.filter(state=Chunk.State.RESERVED, publish_at=None)
    going_on = Job.objects.filter(kind=Kind.BATCH, state__in=OPEN)
    for rows in (
        Job.objects.filter(kind=Kind.REALTIME, state=State.QUEUED, publish_at=None),
        sent.filter(job_id__in=going_on.values("pk")),
        Export.objects.filter(state=Export.State.QUEUED, publish_at=None),
    ):
        with transaction.atomic():
            in_id_order(rows).update(publish_at=Clock())


def forget_old_workers() -> int:
    """Rows of processes that ended, or were replaced under the same name, more than an hour ago."""
    gone = Worker.objects.filter(beat_at__lt=Clock() - WORKER_ROWS_KEPT.total_seconds())
    return gone.delete()[0]

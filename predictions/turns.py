"""A batch's turns: chunks are reserved, scored and finished; the finish that completes the count ends the job.

Lock order everywhere: the job's row first, then the chunk's.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F

from predictions import chunk_rows, dispatch, outcomes, tallies, workers
from predictions.chunk_rows import Standing
from predictions.clock import Clock
from predictions.errors import InvalidInput
from predictions.leases import LEASE_S, ChunkClaim
from predictions.limits import limits_of
from predictions.live import say
from predictions.models import Chunk, Job, State, note
from predictions.outcomes import Ending
from predictions.pauses import is_paused
from predictions.queues import BATCH
from predictions.tallies import WORKING, Scored

MOST_RETRIES = 1
RETRY_AFTER_S = 5.0
TURN_S = 1.0


@dataclass
class Turn:
    """A worker's turn at a job: chunk after chunk for about a second, then others have theirs.

    claim: the chunk that came to it with the finish of the one before.
    """

    worker: str
    ends: float = field(default_factory=lambda: time.monotonic() + TURN_S)
    claim: ChunkClaim | None = None

    def is_over(self) -> bool:
        return time.monotonic() > self.ends


def begin(job: Job, chunks: list[Chunk]) -> list[dispatch.Message]:
    """Write the chunks of a job that the caller's transaction accepts, as many reserved as there are live batch workers.

    Returns the messages to publish.
    """
    first = chunks[: _wanted()]
    for chunk in chunks:
        chunk.job = job
    for chunk in first:
        chunk.state, chunk.publish_at = Chunk.State.RESERVED, Clock() + dispatch.STEWARD_AFTER_S
    Chunk.objects.bulk_create(chunks)
    return [dispatch.for_chunk(job, chunk) for chunk in first]


def reserve(job_id: UUID) -> list[dispatch.Message]:
    """Reserve chunks until one for each live batch worker is under way; returns the messages to publish.

    Of a job whose queue is paused, none: the steward goes on with it once it is resumed.
    """
    wanted = _wanted()
    with transaction.atomic():
        job = Job.objects.select_for_update().filter(pk=job_id).first()
        if job is None or job.has_ended or _is_to_stop(job) or is_paused(job.queue):
            return []
        under_way = job.parts.filter(state__in=[Chunk.State.RESERVED, Chunk.State.RUNNING]).count()
        chunks = list(job.parts.filter(state=Chunk.State.QUEUED).order_by("number")[: max(0, wanted - under_way)])
        Chunk.objects.filter(pk__in=[chunk.pk for chunk in chunks]).update(
            state=Chunk.State.RESERVED, publish_at=Clock() + dispatch.STEWARD_AFTER_S
        )
    return [dispatch.for_chunk(job, chunk) for chunk in chunks]


def _wanted() -> int:
    """How many chunks of a job may be under way."""
    return max(1, len(workers.live_workers(BATCH)))


def finish_chunk(claim: ChunkClaim, scored: Scored, turn: Turn | None = None) -> State | None:
    """Keep what was scored; returns the job's state then, or None where the attempt was fenced off.

    While its turn lasts, the worker gets the next chunk in the same transaction. Called again because the reply of the
    first time was lost, it says the same.
    """
    tried = turn.claim if turn else None
    if turn:
        turn.claim = None
    state = _finish_chunk(claim, scored, turn)
    if state is None:
        state = _unless_taken(claim)
        if state:
            say.jobs_changed([claim.job.pk])
        if state and turn and tried and _is_held(tried, turn.worker):
            turn.claim = tried
    return state


def _finish_chunk(claim: ChunkClaim, scored: Scored, turn: Turn | None) -> State | None:
    """None where the job's row or the chunk's is not as this attempt left it, and then nothing is written."""
    with transaction.atomic():
        before = chunk_rows.lock_running(claim.job.pk)
        if before is None or not _close_chunk(claim, scored):
            return None
        now = _with(before, scored)
        chunk_rows.keep(claim.job.pk, now)
        if now.chunks_done == now.chunks or _must_stop(claim.job.queue, now):
            state = _maybe_end(Job.objects.get(pk=claim.job.pk))
            if state == State.RUNNING:  # the end is told by who writes it
                say.jobs_changed([claim.job.pk])
            return state
        say.news([[str(claim.job.pk), now.version, now.owner_id, State.RUNNING.value, now.done]])
        if turn and not turn.is_over():
            turn.claim = _claim_next(claim.job, turn.worker)
        return State.RUNNING


def _claim_next(job: Job, worker: str) -> ChunkClaim | None:
    chunk = chunk_rows.claim_next(job.pk, worker, LEASE_S)
    return ChunkClaim(job, chunk.attempt, chunk) if chunk else None


def _with(before: Standing, scored: Scored) -> Standing:
    done = before.done + scored.scored + scored.rejected
    lately = tallies.lately(before.summary.get("lately", []), before.at_s, done)
    return before._replace(
        version=before.version + 1,
        chunks_done=before.chunks_done + 1,
        done=done,
        rejected=before.rejected + scored.rejected,
        spent_s=before.spent_s + scored.spent_s,
        summary=tallies.merged(before.summary, scored) | {"lately": lately},
    )


def _unless_taken(claim: ChunkClaim) -> State | None:
    """The job's state where the chunk is still this attempt's: the job has ended, or the reply of our finish was lost."""
    ours = Chunk.objects.filter(pk=claim.chunk.pk, attempt=claim.attempt)
    if not ours.filter(state__in=[Chunk.State.RUNNING, Chunk.State.DONE]).exists():
        return None
    return State(Job.objects.values_list("state", flat=True).get(pk=claim.job.pk))


def _is_held(claim: ChunkClaim, worker: str) -> bool:
    """The chunk that a finish claimed is ours, though its reply did not reach us: nobody else counts up to our attempt."""
    held = Chunk.objects.filter(pk=claim.chunk.pk, attempt=claim.attempt, worker=worker)
    return held.filter(state=Chunk.State.RUNNING).exists()


def _close_chunk(claim: ChunkClaim, scored: Scored) -> bool:
    return chunk_rows.close(
        claim.chunk.pk,
        claim.attempt,
        scored=scored.scored,
        rejected=scored.rejected,
        result_bytes=scored.result_bytes,
        rejected_bytes=scored.rejected_bytes,
        result_sha256=scored.result_sha256,
        stopped_at=scored.stopped_at,
        stopped_line=scored.stopped_line,
    )


def _maybe_end(job: Job) -> State:
    """The job's row is locked by the caller's transaction."""
    if job.chunks_done == job.chunks and not job.revoke_requested:
        return _end(job, _verdict(job))
    return end_if_stopped(job) if _is_to_stop(job) else State.RUNNING


def _is_to_stop(job: Job) -> bool:
    return _must_stop(job.queue, job)


def _must_stop(queue: str, now: Job | Standing) -> bool:
    """Its revocation was asked, or it was worked on past the soft limit: no chunk of it is begun any more."""
    return now.revoke_requested or _is_cut_short(now) or limits_of(queue).is_overworked(now.spent_s)


def _is_cut_short(now: Job | Standing) -> bool:
    """Kept with the job, since a later finish, or a process with another limit, could not tell."""
    return bool((now.summary or {}).get("cut_short"))


def _verdict(job: Job) -> Ending:
    """Rows may be missing without a word only where the whole file is refused anyway."""
    if job.rejected and job.on_bad_row == "reject":
        return Ending(State.FAILED, error=_refusal(job).as_json())
    if job.chunks_done < job.chunks or _is_cut_short(job):
        return Ending(State.FAILED, error={"code": "soft_time_limit", "message": _how_far(job)})
    return Ending(State.SUCCEEDED, result={n: value for n, value in (job.summary or {}).items() if n not in WORKING})


def _refusal(job: Job) -> InvalidInput:
    places = (job.summary or {}).get("places", [])
    return InvalidInput(
        f"{job.rejected:,} of {job.total:,} rows cannot be read; no result is kept.", places, job.rejected
    )


def _how_far(job: Job) -> str:
    kept = f"{job.done - job.rejected:,} of {job.total:,} rows are kept" if job.store else "No result was to be kept"
    return f"Stopped after {job.spent_s:.1f} s of work; the limit is {limits_of(job.queue).soft_s} s. {kept}."


def end_if_stopped(job: Job) -> State:
    """A batch that is to stop ends when no chunk of it runs, and keeps what they finished. The caller holds the job's row."""
    if job.parts.filter(state=Chunk.State.RUNNING).exists():
        return State.RUNNING
    return _end(job, Ending(State.REVOKED) if job.revoke_requested else _verdict(job))


def end_those_stopped(jobs: list[Job]) -> list[Job]:
    """The same for many at once whose revocation was asked; returns those that have ended."""
    busy = set(Chunk.objects.filter(job__in=jobs, state=Chunk.State.RUNNING).values_list("job_id", flat=True))
    idle = [job for job in jobs if job.pk not in busy]
    if idle:
        Job.objects.filter(pk__in=[job.pk for job in idle], state=State.RUNNING).change(state=State.REVOKED)
        outcomes.end_many(idle, Ending(State.REVOKED))
    return idle


def try_again(job: Job, claim: ChunkClaim, reason: str) -> bool:
    """Give a chunk that the device failed one more try, a few seconds later; False where the job had its try."""
    if job.retries >= MOST_RETRIES:
        return False
    mine = Chunk.objects.filter(pk=claim.chunk.pk, attempt=claim.attempt, state=Chunk.State.RUNNING)
    mine.update(state=Chunk.State.RESERVED, lease_until=None, publish_at=Clock() + RETRY_AFTER_S)
    Job.objects.filter(pk=job.pk).change(retries=F("retries") + 1)
    note(job, f"{reason[:300]}; part {claim.chunk.number + 1} is tried again in {RETRY_AFTER_S:.0f} s")
    return True


def fail_by(claim: ChunkClaim, error: dict[str, Any], traceback: str | None = None) -> State | None:
    """End a batch as failed by the attempt that holds one of its chunks; None where it was fenced off."""
    with transaction.atomic():
        job = Job.objects.select_for_update().get(pk=claim.job.pk)
        mine = Chunk.objects.filter(pk=claim.chunk.pk, attempt=claim.attempt, state=Chunk.State.RUNNING)
        if job.state != State.RUNNING or not mine.update(state=Chunk.State.QUEUED, lease_until=None):
            return None
        return fail(job, error, traceback)


def fail(job: Job, error: dict[str, Any], traceback: str | None = None) -> State:
    """End a running batch as failed, or revoked where that was asked. The caller holds the job's row."""
    failed = Ending(State.FAILED, error=error, traceback=traceback)
    return _end(job, Ending(State.REVOKED) if job.revoke_requested else failed)


def _end(job: Job, ending: Ending) -> State:
    Job.objects.filter(pk=job.pk, state=State.RUNNING).change(state=ending.state)
    outcomes.end_many([job], ending)
    return ending.state

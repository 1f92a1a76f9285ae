"""A batch's turns: chunks are reserved, scored and finished; the finish that completes the count ends the job.

Lock order everywhere: the job's row first, then the chunk's.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F

from predictions import dispatch, outcomes, workers
from predictions.clock import Clock
from predictions.errors import SHOWN, InvalidInput
from predictions.leases import ChunkClaim
from predictions.limits import limits_of
from predictions.live import say
from predictions.models import Chunk, Job, State, note
from predictions.outcomes import Ending
from predictions.queues import BATCH

HISTOGRAM_BINS = 20
MOST_RETRIES = 1
RETRY_AFTER_S = 5.0
WORKING = ("places", "cut_short")
"""What the summary holds for the finish alone."""


@dataclass
class Scored:
    """What came of one chunk. class_counts by label; histogram: rows by confidence in 20 bins from 0 to 1.

    cut_short: the soft time limit stopped it between two blocks, so that rows of it are missing.
    """

    scored: int = 0
    rejected: int = 0
    result_bytes: int = 0
    rejected_bytes: int = 0
    spent_s: float = 0.0
    class_counts: Counter[str] = field(default_factory=Counter)
    histogram: list[int] = field(default_factory=lambda: [0] * HISTOGRAM_BINS)
    places: list[dict[str, Any]] = field(default_factory=list)
    cut_short: bool = False


def reserve(job_id: UUID) -> list[dispatch.Message]:
    """Reserve chunks until one for each live batch worker is under way; returns the messages to publish."""
    wanted = max(1, len(workers.live_workers(BATCH)))
    with transaction.atomic():
        job = Job.objects.select_for_update().filter(pk=job_id).first()
        if job is None or job.has_ended or job.revoke_requested:
            return []
        under_way = job.parts.filter(state__in=[Chunk.State.RESERVED, Chunk.State.RUNNING]).count()
        chunks = list(job.parts.filter(state=Chunk.State.QUEUED).order_by("number")[: max(0, wanted - under_way)])
        Chunk.objects.filter(pk__in=[chunk.pk for chunk in chunks]).update(
            state=Chunk.State.RESERVED, publish_at=Clock() + dispatch.STEWARD_AFTER_S
        )
    return [dispatch.for_chunk(job, chunk) for chunk in chunks]


def next_chunk(job_id: UUID) -> dispatch.Message | None:
    """Reserve the next chunk for whoever asks, to go on with it at once and without a message."""
    with transaction.atomic():
        job = Job.objects.select_for_update().get(pk=job_id)
        chunk = job.parts.filter(state=Chunk.State.QUEUED).order_by("number").first()
        if chunk is None or job.state != State.RUNNING or _is_to_stop(job):
            return None
        # Should we die before we claim it, the steward publishes it.
        Chunk.objects.filter(pk=chunk.pk).update(
            state=Chunk.State.RESERVED, publish_at=Clock() + dispatch.STEWARD_AFTER_S
        )
    return dispatch.for_chunk(job, chunk)


def finish_chunk(claim: ChunkClaim, scored: Scored) -> State | None:
    """Keep what was scored; returns the job's state then, or None where the attempt was fenced off.

    Called again because the reply of the first time was lost, it says how the job stands.
    """
    state = _finish_chunk(claim, scored) or _unless_taken(claim)
    if state:
        say.jobs_changed([claim.job.pk])
    return state


def _finish_chunk(claim: ChunkClaim, scored: Scored) -> State | None:
    """None where the job's row or the chunk's is not as this attempt left it, and then nothing is written."""
    with transaction.atomic():
        counted = Job.objects.filter(pk=claim.job.pk, state=State.RUNNING).change(
            chunks_done=F("chunks_done") + 1,
            spent_s=F("spent_s") + scored.spent_s,
            done=F("done") + scored.scored + scored.rejected,
            rejected=F("rejected") + scored.rejected,
        )
        if not counted or not _close_chunk(claim, scored):
            transaction.set_rollback(True)
            return None
        job = Job.objects.select_for_update().get(pk=claim.job.pk)
        job.summary = _merged(job.summary or {}, scored)
        Job.objects.filter(pk=job.pk).update(summary=job.summary)
        return _maybe_end(job)


def _unless_taken(claim: ChunkClaim) -> State | None:
    """The job's state where the chunk is still this attempt's: the job has ended, or the reply of our finish was lost."""
    ours = Chunk.objects.filter(pk=claim.chunk.pk, attempt=claim.attempt)
    if not ours.filter(state__in=[Chunk.State.RUNNING, Chunk.State.DONE]).exists():
        return None
    return State(Job.objects.values_list("state", flat=True).get(pk=claim.job.pk))


def _close_chunk(claim: ChunkClaim, scored: Scored) -> bool:
    mine = Chunk.objects.filter(pk=claim.chunk.pk, attempt=claim.attempt, state=Chunk.State.RUNNING)
    return bool(
        mine.update(
            state=Chunk.State.DONE,
            lease_until=None,
            scored=scored.scored,
            rejected=scored.rejected,
            result_bytes=scored.result_bytes,
            rejected_bytes=scored.rejected_bytes,
            result_attempt=claim.attempt,
        )
    )


def _merged(summary: dict[str, Any], scored: Scored) -> dict[str, Any]:
    counts = Counter(summary.get("classes", {})) + scored.class_counts
    before = summary.get("confidence_histogram") or [0] * HISTOGRAM_BINS
    return {
        "rows": summary.get("rows", 0) + scored.scored,
        "rejected": summary.get("rejected", 0) + scored.rejected,
        "classes": dict(sorted(counts.items())),
        "confidence_histogram": [old + new for old, new in zip(before, scored.histogram, strict=True)],
        "places": (summary.get("places", []) + scored.places)[:SHOWN],
        "cut_short": summary.get("cut_short", False) or scored.cut_short,
    }


def _maybe_end(job: Job) -> State:
    """The job's row is locked by the caller's transaction."""
    if job.chunks_done == job.chunks and not job.revoke_requested:
        return _end(job, _verdict(job))
    return end_if_stopped(job) if _is_to_stop(job) else State.RUNNING


def _is_to_stop(job: Job) -> bool:
    """Its revocation was asked, or it was worked on past the soft limit: no chunk of it is begun any more."""
    return job.revoke_requested or _is_cut_short(job) or limits_of(job.queue).is_overworked(job.spent_s)


def _is_cut_short(job: Job) -> bool:
    """Kept with the job, since a later finish, or a process with another limit, could not tell."""
    return bool((job.summary or {}).get("cut_short"))


def _verdict(job: Job) -> Ending:
    """Rows may be missing without a word only where the whole file is refused anyway."""
    if job.rejected and job.on_bad_row == "reject":
        return Ending(State.FAILED, error=_refusal(job).as_json())
    if job.chunks_done < job.chunks or _is_cut_short(job):
        return Ending(State.FAILED, error={"code": "soft_time_limit", "message": _how_far(job)})
    return Ending(State.SUCCEEDED, result={n: value for n, value in (job.summary or {}).items() if n not in WORKING})


def _refusal(job: Job) -> InvalidInput:
    places = sorted((job.summary or {}).get("places", []), key=lambda place: place.get("line") or 0)
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

"""Continues a batch that was stopped: a linked job over the same upload, of the rows that were not reached."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import F

from predictions import submission
from predictions.errors import Refused, WrongState
from predictions.models import Chunk, Job, Kind, State, Upload


def rest(job: Job, by: Any, source: str = "api") -> Job:
    """A new job of what `job` left when it was stopped. Both results together are those of one whole run."""
    with transaction.atomic():
        stopped = Job.objects.select_for_update().get(pk=job.pk)  # of two who ask at once, one is told of the other's
        _demand_rest(stopped)
        chunks = left_of(stopped)
        notes = [*stopped.notes, _note(stopped, sum(chunk.rows for chunk in chunks))]
        return submission.submit_chunks(stopped, chunks, by, source, notes, is_rest=True)


def may_run_rest(job: Job) -> bool:
    try:
        _demand_rest(job)
    except Refused:
        return False
    return True


def left_of(job: Job) -> list[Chunk]:
    """What `job` did not reach, as chunks that are not yet anybody's; they keep the numbers of their parts."""
    left = (_left(chunk) for chunk in job.parts.order_by("number"))
    return [chunk for chunk in left if chunk.rows]


def _left(chunk: Chunk) -> Chunk:
    """Whole where nobody finished it; else from where it was stopped, if it was."""
    fresh = submission.copy_of(chunk)
    if chunk.state == Chunk.State.DONE:
        reached = chunk.rows if chunk.stopped_at is None else chunk.scored + chunk.rejected
        fresh.rows, fresh.first_row = chunk.rows - reached, chunk.first_row + reached
        fresh.start, fresh.first_line = chunk.stopped_at or chunk.start, chunk.stopped_line or chunk.first_line
    return fresh


def _demand_rest(job: Job) -> None:
    """Raise WrongState, with the sentence, where there is nothing to continue."""
    _demand_stopped(job)
    if job.upload is None or job.upload.state != Upload.State.DONE:
        raise WrongState("The job's input is no longer kept. Submit the file again.")
    if _is_refused(job):
        raise WrongState(
            "Rows of the file cannot be read and it was submitted with on_bad_row=reject, which refuses the whole file. "
            "Mend the file, or submit it with on_bad_row=skip."
        )
    if job.done >= job.total:
        raise WrongState(f"Nothing is left: the job reached all of its {job.total:,} rows.")
    if _is_unclear(job):
        raise WrongState("The job was stopped by a release that did not note where. Retry it instead.")
    if other := _continued_by(job):
        raise WrongState(f"The job was continued as {other.pk}, which is {other.status}. {_instead(other)}")


def _demand_stopped(job: Job) -> None:
    if job.kind != Kind.BATCH:
        raise WrongState("The job is one vector. Only a batch has rows that can be left.")
    if not job.has_ended:
        raise WrongState(f"The job is {job.status}. Only a batch that was stopped can be continued.")
    if job.state != State.REVOKED and (job.error or {}).get("code") != "soft_time_limit":
        raise WrongState(
            f"The job is {job.status}. Only a batch that was revoked, or that its soft time limit stopped, "
            "can be continued; retry it instead."
        )


def _is_refused(job: Job) -> bool:
    """Its own rows or those of a job that it continues."""
    if job.on_bad_row != "reject":
        return False
    before = job
    while not before.rejected and before.is_rest and before.retry_of:
        before = before.retry_of
    return before.rejected > 0


def _is_unclear(job: Job) -> bool:
    done = job.parts.filter(state=Chunk.State.DONE, stopped_at=None)
    return done.exclude(rows=F("scored") + F("rejected")).exists()


def _continued_by(job: Job) -> Job | None:
    """The job that has taken these rows, or will: one that is under way, has succeeded, or kept some of them."""
    waiting = list(job.retried_as.filter(is_rest=True))
    while waiting:
        other = waiting.pop()
        if not other.has_ended or _counts(other):
            return other
        waiting += other.retried_as.filter(is_rest=False)
    return None


def _counts(ended: Job) -> bool:
    was_stopped = ended.state == State.REVOKED or (ended.error or {}).get("code") == "soft_time_limit"
    return ended.state in {State.SUCCEEDED, State.EXPIRED} or (was_stopped and ended.done > 0)


def _instead(other: Job) -> str:
    if not other.has_ended or other.state in {State.SUCCEEDED, State.EXPIRED}:
        return "Twice, its rows would be doubled."
    return "Continue that one instead."


def _note(job: Job, rows: int) -> str:
    return f"Continues {job.pk}: the {rows:,} of its {job.total:,} rows that it had not reached."

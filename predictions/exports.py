"""A batch's result as Parquet, made when somebody asks for it: one row of Export a job, fenced by its attempt as any work is.

Lock order as everywhere: the job's row first.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from predictions import dispatch, files, result_files
from predictions.clock import Clock
from predictions.downloads import Download, Stored
from predictions.errors import ExportFailed, ResultExpired, WrongState
from predictions.leases import ExportClaim
from predictions.live import say
from predictions.models import Export, Job, utc_now

MEDIA_TYPE = "application/vnd.apache.parquet"
MOST_CRASHES = 3
TOLD_FOR_S = 10
REMOVED = "The result was removed before the file was made."


def export_of(job: Job) -> Export | None:
    return Export.objects.filter(job=job).first()


def ask(job: Job) -> Export:
    """Have the file made, unless it is there or under way; what failed is tried anew. Raises what forbids it."""
    with transaction.atomic():
        held = Job.objects.select_for_update().get(pk=job.pk)
        _demand_ended(held)
        export, is_fresh = Export.objects.get_or_create(job=held)
        if is_fresh or export.state == Export.State.FAILED:
            export = _queue(export)
            transaction.on_commit(partial(dispatch.publish_soon, [dispatch.for_export(held, export)]))
    return export


def ask_unless_it_just_failed(job: Job) -> Export:
    """For programs, which ask again and again: a failure is told for some seconds before it is tried anew."""
    export = export_of(job)
    if export is not None:
        demand_hope(export)
    return ask(job)


def demand_hope(export: Export) -> None:
    """Raise ExportFailed where it failed and nobody has asked again."""
    if export.state == Export.State.FAILED and export.finished and _age_s(export) < TOLD_FOR_S:
        sentence = f"The Parquet file could not be made: {export.error_text} Ask again and it is tried anew."
        raise ExportFailed(sentence, retry_after_s=TOLD_FOR_S)


def download(job: Job, export: Export) -> Download:
    """Its file, once it is done."""
    stored = Stored(files.export_key(job.pk, export.attempt), export.size_bytes)
    name = result_files.file_name(job, "result", "parquet")
    return Download(name, MEDIA_TYPE, export.sha256[:32], [stored], b"", export.finished, export.sha256)


def is_wanted(claim: ExportClaim) -> bool:
    """Asked between two parts: the attempt still holds it, and the result was not removed meanwhile."""
    return _mine(claim).filter(job__expires__isnull=False).exists()


def tell_progress(claim: ExportClaim, rows: int) -> None:
    with transaction.atomic():
        _touch(claim.job_id)
        _mine(claim).update(done=rows)


def finish(claim: ExportClaim, rows: int, size_bytes: int, sha256: str) -> bool:
    """False where the attempt was fenced off. Called again because the reply of the first time was lost, it says the same."""
    kept = {"done": rows, "size_bytes": size_bytes, "sha256": sha256, "error_text": ""}
    return _end(claim, Export.State.DONE, **kept) or _is(claim, Export.State.DONE)


def fail(claim: ExportClaim, sentence: str) -> bool:
    return _end(claim, Export.State.FAILED, error_text=sentence[:500]) or _is(claim, Export.State.FAILED)


def lapsed() -> QuerySet[Export]:
    return Export.objects.filter(state=Export.State.RUNNING, lease_until__lt=Clock())


def rescue(seen: Export) -> bool:
    """Its worker has died: it is queued again, or failed at the third death. What somebody has locked is left for later."""
    with transaction.atomic():
        job = Job.objects.select_for_update(skip_locked=True).filter(pk=seen.job_id).first()
        dead = lapsed().filter(pk=seen.pk, attempt=seen.attempt)
        if job is None or not dead.select_for_update(skip_locked=True).exists():
            return False
        changes: dict[str, Any] = {"state": Export.State.QUEUED, "lease_until": None, "publish_at": Clock()}
        if seen.crashes + 1 >= MOST_CRASHES:
            message = f"{MOST_CRASHES} workers died on it; the last was {seen.worker}."
            changes = {"state": Export.State.FAILED, "error_text": message, **_ended()}
        dead.update(crashes=seen.crashes + 1, **changes)
        _touch(seen.job_id)
    return True


def forget(job_ids: list[UUID]) -> None:
    """Their results were removed: nothing is made of them any more. Inside the caller's transaction, which holds the jobs."""
    open_ = Export.objects.filter(job_id__in=job_ids, state__in=[Export.State.QUEUED, Export.State.RUNNING])
    open_.update(state=Export.State.FAILED, error_text=REMOVED, **_ended())


def give_up(job_ids: Sequence[UUID], sentence: str) -> int:
    """Nobody makes what waits of these jobs; whoever asked may ask again. Inside the caller's transaction, which holds the jobs."""
    waiting = Export.objects.filter(job_id__in=job_ids, state=Export.State.QUEUED)
    number = waiting.update(state=Export.State.FAILED, error_text=sentence, **_ended())
    Job.objects.filter(pk__in=job_ids).change()
    say.jobs_changed(job_ids)
    return number


def _demand_ended(job: Job) -> None:
    if not job.has_ended:
        raise WrongState(f"The job is {job.status}; a Parquet file is made once it has ended.")
    if job.expires is None:
        raise ResultExpired("The job's result expired and was removed; the job itself stays in the history.")


def _queue(export: Export) -> Export:
    fresh = {"done": 0, "crashes": 0, "error_text": "", "finished": None, "created": Now()}
    due = Clock() + dispatch.STEWARD_AFTER_S
    Export.objects.filter(pk=export.pk).update(state=Export.State.QUEUED, publish_at=due, **fresh)
    _touch(export.job_id)
    export.refresh_from_db()
    return export


def _end(claim: ExportClaim, state: Export.State, **changes: Any) -> bool:
    with transaction.atomic():
        _touch(claim.job_id)
        return bool(_mine(claim).update(state=state, **_ended(), **changes))


def _ended() -> dict[str, Any]:
    return {"finished": Now(), "lease_until": None, "publish_at": None}


def _mine(claim: ExportClaim) -> QuerySet[Export]:
    return Export.objects.filter(pk=claim.export_id, state=Export.State.RUNNING, attempt=claim.attempt)


def _is(claim: ExportClaim, state: Export.State) -> bool:
    return Export.objects.filter(pk=claim.export_id, state=state, attempt=claim.attempt).exists()


def _touch(job_id: UUID) -> None:
    """Its page shows something new."""
    Job.objects.filter(pk=job_id).change()
    say.jobs_changed([job_id])


def _age_s(export: Export) -> float:
    return (utc_now() - export.finished).total_seconds() if export.finished else 0.0

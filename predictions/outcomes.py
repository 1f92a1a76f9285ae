"""Ends jobs: the state and its TaskResult row in one transaction. Alone touches django-celery-results."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Case, CharField, Value, When
from django.db.models.functions import Now
from django_celery_results.models import TaskResult

from predictions.live import say
from predictions.models import Job, Kind, State, utc_now

CELERY_STATUS = {State.SUCCEEDED: "SUCCESS", State.FAILED: "FAILURE", State.REVOKED: "REVOKED"}
TASK_NAME = {Kind.REALTIME: "predictions.predict", Kind.BATCH: "predictions.score_chunk"}
UPSERTED = [
    "status",
    "result",
    "traceback",
    "worker",
    "task_name",
    "content_type",
    "content_encoding",
    "meta",
    "date_started",
    "date_done",
]


@dataclass(frozen=True)
class Ending:
    """How a job ends. result: what a Celery client gets; error: as the job shows it."""

    state: State
    result: Any = None
    error: dict[str, Any] | None = None
    traceback: str | None = None


def finish(job_id: UUID, attempt: int, ending: Ending, **changes: Any) -> State | None:
    """End a running job by the attempt that holds it; None: the attempt was fenced off and nothing was written.

    Where its revocation was asked, it ends as revoked whatever the attempt says. Called again because the reply of the
    first time was lost, it says the same.
    """
    with transaction.atomic():
        held = Job.objects.filter(pk=job_id, state=State.RUNNING, attempt=attempt)
        wanted = Case(
            When(revoke_requested=True, then=Value(State.REVOKED)),
            default=Value(ending.state),
            output_field=CharField(),
        )
        written = held.change(state=wanted, **_ended(ending), **changes)
        job = Job.objects.filter(pk=job_id).first()
        if job is None or not (written or _was_ended_so(job, attempt, ending)):
            return None
        if written:
            _record_finish(job, ending)
    say.jobs_changed([job_id])
    return State(job.state)


def _was_ended_so(job: Job, attempt: int, ending: Ending) -> bool:
    """By this very attempt: only the reply was lost. One that is revoked keeps no result, whoever ended it."""
    if job.attempt != attempt or job.state not in {ending.state, State.REVOKED, State.EXPIRED}:
        return False
    return job.state != State.FAILED or (job.error or {}).get("code") == (ending.error or {}).get("code")


def _record_finish(job: Job, ending: Ending) -> None:
    if job.state == State.REVOKED:
        Job.objects.filter(pk=job.pk).update(error=None, error_text="")
    record([job], ending if job.state == ending.state else Ending(State.REVOKED))


def end_many(jobs: Iterable[Job], ending: Ending) -> None:
    """Write the outcomes of jobs whose rows the caller has just moved, inside the caller's transaction."""
    ended = list(jobs)
    ids = [job.pk for job in ended]
    Job.objects.filter(pk__in=ids).update(**_ended(ending))
    record(ended, ending)
    say.jobs_changed(ids)


def _ended(ending: Ending) -> dict[str, Any]:
    return {
        "finished": Now(),
        "expires": Now() + timedelta(seconds=settings.RESULT_EXPIRES),
        "lease_until": None,
        "publish_at": None,
        "error": ending.error,
        "error_text": (ending.error or {}).get("message", "")[:500],
    }


def record(jobs: Iterable[Job], ending: Ending) -> None:
    """One TaskResult a job. A row that a stray `control.revoke` or Flower left is overwritten; ours is written once."""
    rows = [_row(job, ending) for job in jobs]
    TaskResult.objects.bulk_create(rows, update_conflicts=True, unique_fields=["task_id"], update_fields=UPSERTED)


def _row(job: Job, ending: Ending) -> TaskResult:
    return TaskResult(
        task_id=str(job.pk),
        task_name=TASK_NAME[Kind(job.kind)],
        status=CELERY_STATUS[ending.state],
        result=json.dumps(_celery_result(job, ending)),
        traceback=ending.traceback,
        worker=job.worker or None,
        content_type="application/json",
        content_encoding="utf-8",
        meta=json.dumps({"children": []}),
        date_started=job.started,
        date_created=job.created,
        date_done=utc_now(),
    )


def _celery_result(job: Job, ending: Ending) -> Any:
    """What `app.AsyncResult(id).get()` gives, or raises: the shape Celery's own backend writes."""
    if ending.state == State.SUCCEEDED:
        return ending.result if job.store else None
    if ending.state == State.FAILED:
        message = (ending.error or {}).get("message", "failed")
        return {"exc_type": "Refused", "exc_message": [message], "exc_module": "predictions.errors"}
    return {"exc_type": "TaskRevokedError", "exc_message": ["revoked"], "exc_module": "celery.exceptions"}


def results_of(job_ids: Iterable[UUID]) -> dict[UUID, Any]:
    """The stored predictions of jobs that succeeded; a job without one is left out."""
    rows = TaskResult.objects.filter(task_id__in=[str(pk) for pk in job_ids], status="SUCCESS").values_list(
        "task_id", "result"
    )
    decoded = ((UUID(task_id), json.loads(text) if text else None) for task_id, text in rows)
    return {job_id: result for job_id, result in decoded if result is not None}


def traceback_of(job_id: UUID) -> str | None:
    found: str | None = TaskResult.objects.filter(task_id=str(job_id)).values_list("traceback", flat=True).first()
    return found


def forget_results(job_ids: Iterable[UUID]) -> Counter[UUID]:
    """Remove the results and keep the rows; returns the bytes freed, by job. Inside the caller's transaction."""
    rows = TaskResult.objects.filter(task_id__in=[str(pk) for pk in job_ids])
    freed = Counter({UUID(task_id): len(text or "") for task_id, text in rows.values_list("task_id", "result")})
    rows.update(result=None)
    return freed


def delete_rows(job_ids: Iterable[UUID]) -> None:
    """With the jobs themselves, at the end of the history. Inside the caller's transaction."""
    TaskResult.objects.filter(task_id__in=[str(pk) for pk in job_ids]).delete()

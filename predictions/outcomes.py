"""Ends jobs: the state and its TaskResult row in one transaction. With task_results.py, alone touches django-celery-results."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Case, CharField, Value, When
from django.db.models.functions import Length, Now
from django_celery_results.models import TaskResult

from predictions import clock, task_results
from predictions.leases import VectorClaim
from predictions.live import say
from predictions.models import Job, Kind, State, time_of, utc_now
from predictions.row_locks import db_id, jobs_sql

MOST_TOLD_BYTES = 4096
REVOKED = {"exc_type": "TaskRevokedError", "exc_message": ["revoked"], "exc_module": "celery.exceptions"}


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


def succeed_together(scored: Sequence[tuple[VectorClaim, Any]]) -> set[UUID]:
    """`finish` for vector jobs, each with its prediction, that were scored in one pass: one transaction and one hint.

    Returns those that this has ended; `finish` says why another was not. Raises IntegrityError or DataError where a row
    cannot be written, and then none is.
    """
    ended: list[EndedTogether] = []
    with transaction.atomic():
        for attempt, same in groupby(sorted(scored, key=_attempt_of), key=_attempt_of):
            ended += _end_together(attempt, list(same), len(scored))
        task_results.write(map(_task_result, ended))
    say.news([each.news() for each in ended])
    return {each.claim.job_id for each in ended}


def _attempt_of(scored: tuple[VectorClaim, Any]) -> int:
    return scored[0].attempt


@dataclass(slots=True)
class EndedTogether:
    """finished, expires: as the database keeps times."""

    claim: VectorClaim
    prediction: Any
    state: State
    version: int
    finished: Any
    expires: Any

    def result(self) -> Any:
        """What is kept of the prediction."""
        return self.prediction if self.claim.store and self.state == State.SUCCEEDED else None

    def news(self) -> list[Any]:
        """With the end itself, so that whoever waits for it need not ask the database."""
        ending = {
            "status": str(self.state),
            "started": _time_told(self.claim.started),
            "finished": _time_told(self.finished),
            "expires": _time_told(self.expires),
            "attempt": self.claim.attempt,
            "progress": {"done": 1, "total": 1},
            "error": None,
        }
        if self.state == State.SUCCEEDED:
            ending["result"] = self.result()
        return [str(self.claim.job_id), self.version, self.claim.owner_id, str(self.state), 1, _if_small(ending)]


def _end_together(attempt: int, scored: list[tuple[VectorClaim, Any]], micro_batch: int) -> list[EndedTogether]:
    """Plain SQL: an UPDATE that gives back what it wrote (docs/performance.md)."""
    by_id = {db_id(claim.job_id): (claim, prediction) for claim, prediction in scored}
    sql = f"""UPDATE predictions_job
        SET state = CASE WHEN revoke_requested THEN 'revoked' ELSE 'succeeded' END, finished = {clock.moment_sql()},
            expires = {clock.moment_sql(settings.RESULT_EXPIRES)}, lease_until = NULL, publish_at = NULL, done = 1,
            micro_batch = %s, version = version + 1
        WHERE {jobs_sql(len(by_id))} AND state = 'running' AND attempt = %s
        RETURNING id, state, version, finished, expires"""  # noqa: S608  our own names and marks
    with connection.cursor() as cursor:
        cursor.execute(sql, [micro_batch, *by_id, attempt])
        rows = cursor.fetchall()
    return [EndedTogether(*by_id[key], State(state), *rest) for key, state, *rest in rows]


def _task_result(ended: EndedTogether) -> tuple[Any, ...]:
    claim, state = ended.claim, ended.state
    result = ended.result() if state == State.SUCCEEDED else REVOKED
    times = claim.started, claim.created, ended.finished
    return task_results.row(claim.job_id, Kind.REALTIME, state, result, claim.worker, times)


def _time_told(moment: Any) -> str | None:
    """A time as the database keeps it, as `time_of` tells it. SQLite keeps UTC and does not say so."""
    if moment is not None and moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return time_of(moment)


def _if_small(ending: dict[str, Any]) -> dict[str, Any] | None:
    """A hint is no place for a thousand labels."""
    return ending if len(orjson.dumps(ending)) <= MOST_TOLD_BYTES else None


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
    """One TaskResult a job, inside the caller's transaction."""
    task_results.write(_row(job, ending) for job in jobs)


def _row(job: Job, ending: Ending) -> tuple[Any, ...]:
    times = map(task_results.adapted, (job.started, job.created, job.finished or utc_now()))
    result = _celery_result(job, ending)
    return task_results.row(job.pk, Kind(job.kind), ending.state, result, job.worker, tuple(times), ending.traceback)


def _celery_result(job: Job, ending: Ending) -> Any:
    """What `app.AsyncResult(id).get()` gives, or raises: the shape Celery's own backend writes."""
    if ending.state == State.SUCCEEDED:
        return ending.result if job.store else None
    if ending.state == State.FAILED:
        message = (ending.error or {}).get("message", "failed")
        return {"exc_type": "Refused", "exc_message": [message], "exc_module": "predictions.errors"}
    return REVOKED


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
    freed = Counter({UUID(task_id): size or 0 for task_id, size in rows.values_list("task_id", Length("result"))})
    rows.update(result=None)
    return freed


def delete_rows(job_ids: Iterable[UUID]) -> None:
    """With the jobs themselves, at the end of the history. Inside the caller's transaction."""
    TaskResult.objects.filter(task_id__in=[str(pk) for pk in job_ids]).delete()

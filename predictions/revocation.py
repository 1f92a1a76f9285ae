"""Stop stops: a queued job never runs, a running batch stops between two blocks and keeps its rows."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Case, CharField, F, Value, When

from predictions import audit, outcomes, rights, turns
from predictions.errors import WrongState
from predictions.live import say
from predictions.models import OPEN, Job, JobQuerySet, Kind, State, note
from predictions.outcomes import Ending

BY_CELERY = "Celery's control.revoke"


def revocable(jobs: JobQuerySet, by: Any) -> JobQuerySet:
    """Those of them that `by` may revoke: holders of the permission all, submitters their own."""
    if rights.has(by, rights.REVOKE_ANY_JOB):
        return jobs
    return jobs.filter(owner=by) if rights.has(by, rights.SUBMIT) else jobs.none()


def revoke(job: Job, by: Any, address: str | None = None) -> Job:
    """The job as it is then: `revoked`, or `revoking` while it runs. Raises WrongState where it had ended."""
    with transaction.atomic():
        # One statement decides: between two, a rescue could queue the job that the first one saw running.
        asked = Job.objects.filter(pk=job.pk, state__in=OPEN).change(
            revoke_requested=True,
            state=Case(
                When(state=State.QUEUED, then=Value(State.REVOKED)), default=F("state"), output_field=CharField()
            ),
        )
        now = Job.objects.select_for_update().get(pk=job.pk)
        if not asked:
            raise WrongState(f"The job has ended: it is {now.status}. Only a queued or running job can be revoked.")
        was = State.QUEUED if now.state == State.REVOKED else State.RUNNING
        if now.state == State.REVOKED:
            outcomes.end_many([now], Ending(State.REVOKED))
        elif now.kind == Kind.BATCH:
            turns.end_if_stopped(now)
        now.refresh_from_db()
        note(now, f"Revoked by {audit.name_of(by)}")
        audit.write(by, "revoke", f"job {job.pk}", now.status, address, {"status": was}, {"status": now.status})
    say.jobs_changed([job.pk])
    return now


def revoke_by_celery(job_id: UUID) -> None:
    """A plain client's `control.revoke` means the same as anybody's. Every worker hears it: the first one does it."""
    with suppress(WrongState), transaction.atomic():
        job = Job.objects.select_for_update().filter(pk=job_id, state__in=OPEN, revoke_requested=False).first()
        if job:
            revoke(job, BY_CELERY)

"""Finds a job for a caller of the JSON API, at once or when it has ended."""

from __future__ import annotations

from uuid import UUID

from predictions import contract
from predictions.api_answers import Shown
from predictions.api_reading import job_id_of, no_job
from predictions.db_threads import in_db_thread
from predictions.live import hub
from predictions.models import ENDED, Job, JobQuerySet


def find(jobs: JobQuerySet, job_id: str | UUID) -> Job:
    """Another user's job answers exactly as one that does not exist."""
    found = jobs.filter(pk=job_id_of(str(job_id))).first()
    if found is None:
        raise no_job(job_id)
    return found


def show(jobs: JobQuerySet, job_id: str | UUID) -> Shown:
    return contract.one_job_json(find(jobs, job_id))


async def show_once_ended(jobs: JobQuerySet, job_id: UUID, wait_s: float) -> Shown:
    """The job as it is, or, where it has not ended, as it is once it has or the time is over."""
    if not wait_s:
        return await in_db_thread(show, jobs, job_id)
    with hub.expecting(job_id) as waiter:
        shown = await in_db_thread(show, jobs, job_id)
        if shown["status"] in ENDED:
            return shown
        await waiter.ended(wait_s)
    return await in_db_thread(show, jobs, job_id)

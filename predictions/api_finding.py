"""Finds a job for a caller of the JSON API, at once or when it has ended."""

from __future__ import annotations

from uuid import UUID

from predictions import contract
from predictions.api_answers import Shown
from predictions.api_reading import job_id_of, no_job
from predictions.db_threads import in_db_thread
from predictions.fresh import FreshJob
from predictions.live import hub
from predictions.models import Job, JobQuerySet


def find(jobs: JobQuerySet, job_id: str | UUID) -> Job:
    """Another user's job answers exactly as one that does not exist."""
    found = jobs.filter(pk=job_id_of(str(job_id))).first()
    if found is None:
        raise no_job(job_id)
    return found


def show(jobs: JobQuerySet, job_id: str | UUID) -> Shown:
    return contract.one_job_json(find(jobs, job_id))


def _show_if_ended(jobs: JobQuerySet, job_id: UUID) -> tuple[Job, Shown | None]:
    job = find(jobs, job_id)
    return job, contract.one_job_json(job) if job.has_ended else None


async def show_once_ended(jobs: JobQuerySet, job_id: UUID, wait_s: float) -> Shown:
    """The job as it is, or, where it has not ended, as it is once it has or the time is over."""
    if not wait_s:
        return await in_db_thread(show, jobs, job_id)
    with hub.expecting(job_id) as waiter:
        job, shown = await in_db_thread(_show_if_ended, jobs, job_id)
        return shown or await show_ended(job, waiter, wait_s)


async def show_ended(job: Job | FreshJob, waiter: hub.Waiter, wait_s: float) -> Shown:
    """The job once it has ended or the time is over; it is read again where the news did not tell how it ended."""
    await waiter.ended(wait_s)
    if waiter.ending:
        return contract.ended_json(job, waiter.ending)
    return await in_db_thread(show, Job.objects.all(), job.id)

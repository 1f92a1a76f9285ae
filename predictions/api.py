"""The JSON API's door to jobs, their results and the models (docs: /api/v1/docs)."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Query, Router

from predictions import api_docs, api_listing, contract, outcomes, result_files, revocation, submission
from predictions.api_answers import Shown, accepted, answer, csv_file, json_stream, response
from predictions.api_docs import answers
from predictions.api_finding import find, show_once_ended
from predictions.api_models import models_json
from predictions.api_reading import job_id_of
from predictions.api_schemas import JobFilters, JobOut, JobsOut, ModelsOut, ResultFormat, ShortOut, Wait
from predictions.api_submitting import router as submitting
from predictions.audit import address_of
from predictions.callers import revocable_by, user_of
from predictions.db_threads import in_db_thread
from predictions.models import Job, Kind, State

router = Router(tags=["jobs"])
router.add_router("", submitting)


@router.get("/jobs", response=JobsOut, by_alias=True, openapi_extra=answers())
async def list_jobs(request: HttpRequest, filters: Query[JobFilters]) -> HttpResponse:
    """Your jobs, newest first; staff see all."""

    def read() -> Shown:
        found, cursor = api_listing.page(user_of(request), filters)
        return {"items": contract.jobs_json(found), "next": cursor}

    return answer(await in_db_thread(read))


@router.get("/jobs/{job_id}", response=JobOut, by_alias=True, openapi_extra=answers(404))
async def get_job(request: HttpRequest, job_id: str, asked: Query[Wait]) -> HttpResponse:
    """One job; `wait` holds the answer until it ends or the seconds have passed."""
    return answer(await show_once_ended(Job.objects.of(user_of(request)), job_id_of(job_id), asked.wait))


@router.get("/jobs/{job_id}/result", openapi_extra=api_docs.RESULT)
async def get_result(
    request: HttpRequest, job_id: str, asked: Query[ResultFormat]
) -> HttpResponse | StreamingHttpResponse:
    """The prediction of a realtime job, or the rows of a batch in the input's order."""
    job, prediction, size_bytes = await in_db_thread(_result, user_of(request), job_id)
    if job.kind == Kind.REALTIME:
        return answer(prediction)
    if asked.format == "json":
        return json_stream(result_files.stream_json(job))
    return csv_file(result_files.stream(job), f"{job.pk}.csv", size_bytes)


@router.get("/jobs/{job_id}/rejected", openapi_extra=api_docs.REJECTED)
async def get_rejected_rows(request: HttpRequest, job_id: str) -> StreamingHttpResponse:
    """The rejected rows of a batch that skips bad rows, as CSV."""
    job, size_bytes = await in_db_thread(_rejected, user_of(request), job_id)
    return csv_file(result_files.stream_rejected(job), f"{job.pk}-rejected.csv", size_bytes)


@router.post("/jobs/{job_id}/revoke", response=JobOut, by_alias=True, openapi_extra=answers(403, 404, 409))
async def revoke_job(request: HttpRequest, job_id: str) -> HttpResponse:
    """Stop a job: `revoked` if it was still queued, `revoking` while it runs."""

    def act() -> Shown:
        user = user_of(request)
        return contract.one_job_json(revocation.revoke(find(revocable_by(user), job_id), user, address_of(request)))

    return answer(await in_db_thread(act))


@router.post("/jobs/{job_id}/retry", response={202: JobOut}, by_alias=True, openapi_extra=api_docs.RETRIED)
async def retry_job(request: HttpRequest, job_id: str) -> HttpResponse:
    """A new job on the same stored input, linked by `retry_of`."""

    def act() -> Shown:
        user = user_of(request)
        return contract.one_job_json(submission.retry(find(Job.objects.of(user), job_id), user))

    return response(accepted(await in_db_thread(act)))


@router.get("/result/{job_id}", response=ShortOut, by_alias=True, openapi_extra=answers(404))
async def get_short_result(request: HttpRequest, job_id: str) -> HttpResponse:
    """The short answer for who only polls: `completed` with the result, or how the job stands."""
    return answer(await in_db_thread(lambda: _short(find(Job.objects.of(user_of(request)), job_id))))


@router.get("/models", response=ModelsOut, openapi_extra=answers(), tags=["models"])
async def list_models(request: HttpRequest) -> HttpResponse:
    """The models that can be asked, and which version each living worker serves."""
    return answer(await in_db_thread(models_json))


def _result(user: Any, job_id: str) -> tuple[Job, Any, int]:
    """The job with its prediction (realtime), or with the size of its CSV (batch)."""
    job = find(Job.objects.of(user).select_related("upload"), job_id)
    result_files.demand_result(job)
    if job.kind == Kind.REALTIME:
        return job, contract.predictions_of([job]).get(job.pk), 0
    return job, None, result_files.size_of(job)


def _rejected(user: Any, job_id: str) -> tuple[Job, int]:
    job = find(Job.objects.of(user), job_id)
    result_files.demand_rejected(job)
    return job, result_files.rejected_size_of(job)


def _short(job: Job) -> Shown:
    if job.state == State.SUCCEEDED:
        return {"status": "completed", "result": outcomes.results_of([job.pk]).get(job.pk)}
    return {"status": job.status} | ({"error": job.error} if job.state == State.FAILED else {})

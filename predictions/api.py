"""The JSON API's door to jobs and the models (docs: /api/v1/docs)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from predictions import api_docs, api_listing, contract, outcomes, retrying, revocation, rights
from predictions.api_answers import Shown, accepted, answer, response
from predictions.api_docs import answers
from predictions.api_finding import find, show_once_ended
from predictions.api_models import models_json
from predictions.api_reading import job_id_of
from predictions.api_results import router as results
from predictions.api_schemas import JobFilters, JobOut, JobsOut, ModelsOut, ShortOut, Wait
from predictions.api_submitting import router as submitting
from predictions.audit import address_of
from predictions.callers import seen_or, user_of
from predictions.db_threads import in_db_thread
from predictions.models import Job, State

router = Router(tags=["jobs"])
router.add_router("", submitting)
router.add_router("", results)


@router.get("/jobs", response=JobsOut, by_alias=True, openapi_extra=answers())
async def list_jobs(request: HttpRequest, filters: Query[JobFilters]) -> HttpResponse:
    """Your jobs, newest first; all, for who may see other people's.

    A page looks at no more than 20,000 jobs: with filters that few of them fit it may hold fewer than `limit`, even none,
    and `next` goes on from there. It is the last page where `next` is null.
    """

    def read() -> Shown:
        found, cursor = api_listing.page(user_of(request), filters)
        return {"items": contract.jobs_json(found), "next": cursor}

    return answer(await in_db_thread(read))


@router.get("/jobs/{job_id}", response=JobOut, by_alias=True, openapi_extra=answers(404))
async def get_job(request: HttpRequest, job_id: str, asked: Query[Wait]) -> HttpResponse:
    """One job; `wait` holds the answer until it ends or the seconds have passed."""
    return answer(await show_once_ended(Job.objects.of(user_of(request)), job_id_of(job_id), asked.wait))


@router.post("/jobs/{job_id}/revoke", response=JobOut, by_alias=True, openapi_extra=answers(403, 404, 409))
async def revoke_job(request: HttpRequest, job_id: str) -> HttpResponse:
    """Stop a job: `revoked` if it was still queued, `revoking` while it runs."""

    def act() -> Shown:
        user = user_of(request)
        job = find(seen_or(user, rights.REVOKE_ANY_JOB), job_id)
        rights.demand_act_on(user, job, rights.REVOKE_ANY_JOB)
        return contract.one_job_json(revocation.revoke(job, user, address_of(request)))

    return answer(await in_db_thread(act))


@router.post("/jobs/{job_id}/retry", response={202: JobOut}, by_alias=True, openapi_extra=api_docs.RETRIED)
async def retry_job(request: HttpRequest, job_id: str) -> HttpResponse:
    """A new job on the same stored input, linked by `retry_of`."""

    return await _once_more(request, job_id, retrying.RETRY)


@router.post("/jobs/{job_id}/rest", response={202: JobOut}, by_alias=True, openapi_extra=api_docs.RETRIED)
async def run_rest_of_job(request: HttpRequest, job_id: str) -> HttpResponse:
    """A new job of the rows that a stopped batch did not reach, linked by `retry_of`; the finished rows stay with the old one."""

    return await _once_more(request, job_id, retrying.REST)


@router.get("/result/{job_id}", response=ShortOut, by_alias=True, openapi_extra=answers(404))
async def get_short_result(request: HttpRequest, job_id: str) -> HttpResponse:
    """The short answer for who only polls: `completed` with the result, or how the job stands."""
    return answer(await in_db_thread(lambda: _short(find(Job.objects.of(user_of(request)), job_id))))


@router.get("/models", response=ModelsOut, openapi_extra=answers(), tags=["models"])
async def list_models(request: HttpRequest) -> HttpResponse:
    """The models that can be asked, and which version each living worker serves."""
    return answer(await in_db_thread(models_json))


async def _once_more(request: HttpRequest, job_id: str, act: retrying.Act) -> HttpResponse:
    def again() -> Shown:
        user = user_of(request)
        job = find(seen_or(user, rights.RETRY_ANY_JOB), job_id)
        return contract.one_job_json(retrying.again(job, act, user, "api", address_of(request)))

    return response(accepted(await in_db_thread(again)))


def _short(job: Job) -> Shown:
    if job.state == State.SUCCEEDED:
        return {"status": "completed", "result": outcomes.results_of([job.pk]).get(job.pk)}
    return {"status": job.status} | ({"error": job.error} if job.state == State.FAILED else {})

"""The JSON API's door for what is to be predicted (docs: /api/v1/docs)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from ninja import Router

from predictions import api_docs, api_reading, contract, receiving, rights, submission, uploading
from predictions.api_answers import Answer, accepted, response
from predictions.api_finding import show_ended, show_once_ended
from predictions.api_schemas import JobOut
from predictions.arriving import Arriving, arriving_of
from predictions.callers import user_of
from predictions.db_threads import in_db_thread
from predictions.group_commit import Accepted
from predictions.json_bodies import Request
from predictions.live import hub
from predictions.models import Job, Upload, new_id
from predictions.parts import Plan
from predictions.submission import Wishes

router = Router(tags=["submitting"])
T = TypeVar("T")
READ_INLINE_BYTES = 64 * 1024


@router.post("/predict", response={200: JobOut, 202: JobOut}, by_alias=True, openapi_extra=api_docs.PREDICT)
async def predict(request: HttpRequest) -> HttpResponse:
    """One vector becomes a job on the queue `realtime`."""
    rights.demand(user_of(request), rights.SUBMIT)
    asked = await _read(api_reading.vector_request, request)
    return response(await submit_vector(user_of(request), asked, api_reading.preferred_wait_s(request)))


@router.post("/batch-predict", response={200: JobOut, 202: JobOut}, by_alias=True, openapi_extra=api_docs.BATCH)
async def batch_predict(request: HttpRequest) -> HttpResponse:
    """Many vectors become one job on the queue `batch`: rows in JSON, or a CSV file."""
    rights.demand(user_of(request), rights.SUBMIT)
    if request.content_type in {api_reading.JSON, ""}:
        upload, wishes = await sync_to_async(_receive_rows)(request)
    else:
        upload, wishes = await _receive_table(request)
    return await _submit_batch(request, upload, wishes)


async def _read(read: Callable[[HttpRequest], T], request: HttpRequest) -> T:
    """Small bodies at once; large ones on a thread, so that others are served meanwhile."""
    given = request.headers.get("Content-Length", "")
    if given.isdecimal() and int(given) <= READ_INLINE_BYTES:
        return read(request)
    return await asyncio.to_thread(read, request)


async def submit_vector(owner: Any, asked: Request, wait_s: float) -> Answer:
    """Whoever waits listens before the job is published, so that its end cannot be missed."""
    assert asked.vector is not None
    submit = partial(submission.submit_vector_soon, owner, asked.vector, asked.card, asked.wishes)
    if not wait_s:
        return await _show_accepted(await submit(new_id(), wants_position=True))
    job_id = new_id()
    with hub.expecting(job_id) as waiter:
        taken = await submit(job_id)
        if not taken.is_replayed:
            return accepted(await show_ended(taken.job, waiter, wait_s), waited=True)
    return accepted(await show_once_ended(Job.objects.all(), taken.job.id, wait_s), is_replayed=True, waited=True)


async def _show_accepted(taken: Accepted) -> Answer:
    """What was just written need not be read."""
    if isinstance(taken.job, Job):
        return accepted(await in_db_thread(contract.one_job_json, taken.job), is_replayed=True)
    return accepted(contract.job_json(taken.job, position=taken.position))


async def _submit_batch(request: HttpRequest, upload: Upload, wishes: Wishes) -> HttpResponse:
    """Whoever waits listens before the job is published, so that its end cannot be missed."""
    wait_s, job_id = api_reading.preferred_wait_s(request), new_id()
    with hub.expecting(job_id) as waiter:
        job, is_replayed = await in_db_thread(_submit_rows, user_of(request), upload, wishes, job_id)
        if wait_s and not is_replayed:
            return response(accepted(await show_ended(job, waiter, wait_s), waited=True))
    shown = await show_once_ended(Job.objects.all(), job.pk, wait_s)
    return response(accepted(shown, is_replayed, waited=bool(wait_s)))


def _receive_rows(request: HttpRequest) -> tuple[Upload, Wishes]:
    asked = api_reading.rows_request(request)
    return uploading.receive_rows(user_of(request), asked.rows, asked.card), asked.wishes


async def _receive_table(request: HttpRequest) -> tuple[Upload, Wishes]:
    """What can be refused by what came before the file is refused before the file is read."""
    arriving = arriving_of(request)
    asked = api_reading.table_request(request, arriving)
    api_reading.keyed(request, asked.wishes)
    upload = await receiving.receive(arriving, user_of(request), asked.file_name, asked.card, asked.kind)
    return upload, await in_db_thread(_judge, request, arriving, upload)


def _judge(request: HttpRequest, arriving: Arriving, upload: Upload) -> Wishes:
    """By what stands after the file too. Of a file that is refused nothing is kept."""
    try:
        asked = api_reading.whole_request(request, arriving)
        if asked.wishes.on_bad_row == "reject" and (refusal := uploading.refusal_of(Plan.from_json(upload.plan))):
            raise refusal
        return api_reading.keyed(request, asked.wishes, api_reading.choices_bytes(asked), upload.sha256.encode())
    except BaseException:
        uploading.discard(upload)
        raise


def _submit_rows(owner: Any, upload: Upload, wishes: Wishes, job_id: UUID) -> tuple[Job, bool]:
    """Whatever is refused now, or was accepted before, leaves nothing of this upload."""
    try:
        job, is_replayed = submission.submit_batch(owner, upload, wishes, job_id)
    except BaseException:
        uploading.discard(upload)
        raise
    if is_replayed:
        uploading.discard(upload)
    return job, is_replayed

"""The JSON API's calls that give what a job left: its result in the format asked for, and its rejected rows."""

from __future__ import annotations

import time
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from ninja import Query, Router

from predictions import api_docs, contract, exports, result_files, result_json
from predictions.api_answers import Answer, answer, json_stream, response
from predictions.api_finding import find
from predictions.api_reading import preferred_wait_s
from predictions.api_schemas import ResultFormat
from predictions.callers import user_of
from predictions.db_threads import in_db_thread
from predictions.downloads import Download, is_head
from predictions.downloads import answer as file_answer
from predictions.live import hub
from predictions.models import Export, Job, Kind

router = Router(tags=["jobs"])
PARQUET_WAIT_S = 30.0
LOOK_EVERY_S = 2.0
ASK_AGAIN_AFTER_S = 2


@router.get("/jobs/{job_id}/result", openapi_extra=api_docs.RESULT)
async def get_result(request: HttpRequest, job_id: str, asked: Query[ResultFormat]) -> HttpResponseBase:
    """The prediction of a realtime job, or the rows of a batch in the input's order."""
    job, prediction = await in_db_thread(_result, user_of(request), job_id, asked.partial)
    if job.kind == Kind.REALTIME:
        return answer(prediction)
    if asked.is_page:
        return answer(await in_db_thread(result_json.page, job, asked.after_row, asked.page_rows))
    if asked.format == "parquet":
        return await _parquet(request, job)
    file = await in_db_thread(result_files.result, job)
    if asked.format == "json":
        return json_stream(result_json.stream_json(file, await in_db_thread(result_files.columns_of, job)))
    return file_answer(request, file)


@router.get("/jobs/{job_id}/rejected", openapi_extra=api_docs.REJECTED)
async def get_rejected_rows(request: HttpRequest, job_id: str) -> HttpResponseBase:
    """The rejected cells of a batch that skips bad rows, or that bad rows failed, as CSV."""
    return file_answer(request, await in_db_thread(_rejected, user_of(request), job_id))


async def _parquet(request: HttpRequest, job: Job) -> HttpResponseBase:
    """The file where it is made; it is asked for, and mostly made within the time that a client waits."""
    wait_s = preferred_wait_s(request) if "Prefer" in request.headers else PARQUET_WAIT_S
    export = await _once_made(job, 0.0 if is_head(request) else wait_s)
    if export.state == Export.State.DONE:
        return file_answer(request, exports.download(job, export))
    shown = {"status": "preparing", "progress": {"done": export.done, "total": job.done - job.rejected}}
    return response(Answer(shown, 202, {"Retry-After": str(ASK_AGAIN_AFTER_S)}))


async def _once_made(job: Job, wait_s: float) -> Export:
    """As it is once it is made, or when the time is over. Raises ExportFailed."""
    ends = time.monotonic() + wait_s
    with hub.listening(hub.job_audience(job.pk)) as listener:
        export = await in_db_thread(exports.ask_unless_it_just_failed, job)
        while export.state != Export.State.DONE and (left_s := ends - time.monotonic()) > 0:
            await listener.news(min(left_s, LOOK_EVERY_S))  # a hint may be lost
            await in_db_thread(export.refresh_from_db)
            exports.demand_hope(export)
    return export


def _result(user: Any, job_id: str, partial: bool) -> tuple[Job, Any]:
    """The job, and its prediction where it is a realtime one."""
    job = find(Job.objects.of(user).select_related("upload"), job_id)
    result_files.demand_result(job, partial)
    if job.kind == Kind.REALTIME:
        return job, contract.predictions_of([job]).get(job.pk)
    return job, None


def _rejected(user: Any, job_id: str) -> Download:
    job = find(Job.objects.of(user), job_id)
    result_files.demand_rejected(job)
    return result_files.rejected(job)

"""What a batch left: the first of its rows on its page, and its files to download."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import PurePath
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils.http import content_disposition_header
from django.utils.text import get_valid_filename
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from predictions import pages, result_files
from predictions.errors import Refused
from predictions.models import Job, Kind
from predictions.views.job import job_or_404
from predictions.views.signed_in import signed_in


@require_GET
@never_cache
@signed_in
def rows(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """The first rows by the page's choice of class and order."""
    job = job_or_404(request, job_id)
    return render(request, "predictions/_result_rows.html", pages.result_rows_context(job, request.GET))


@require_GET
@signed_in
def result(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    job = _batch_or_404(request, job_id)
    try:
        result_files.demand_result(job)
    except Refused as refused:
        return _refused(request, job, refused)
    return _download(job, "result", result_files.stream(job), result_files.size_of(job))


@require_GET
@signed_in
def rejected(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    job = _batch_or_404(request, job_id)
    try:
        result_files.demand_rejected(job)
    except Refused as refused:
        return _refused(request, job, refused)
    return _download(job, "rejected", result_files.stream_rejected(job), result_files.rejected_size_of(job))


def _download(job: Job, word: str, content: AsyncIterator[bytes], size_bytes: int) -> StreamingHttpResponse:
    response = StreamingHttpResponse(content, content_type="text/csv; charset=utf-8")
    response["Content-Length"] = str(size_bytes)
    response["Content-Disposition"] = content_disposition_header(True, file_name(job, word))
    response["Cache-Control"] = "private, no-store"
    return response


def file_name(job: Job, word: str) -> str:
    """digits.csv of job …0a1b2c3d → digits-result-0a1b2c3d.csv"""
    stem = PurePath(job.file_name).stem if job.file_name else job.model.replace("@", "-")
    return get_valid_filename(f"{stem}-{word}-{str(job.pk)[-8:]}.csv")


def _batch_or_404(request: HttpRequest, job_id: UUID) -> Job:
    job = job_or_404(request, job_id)
    if job.kind != Kind.BATCH:
        raise Http404
    return job


def _refused(request: HttpRequest, job: Job, refused: Refused) -> HttpResponse:
    return render(request, "predictions/refused.html", {"refused": refused, "job": job}, status=refused.status)

"""What a batch left: the first of its rows on its page, and its files to download."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_safe

from predictions import downloads, pages, result_files
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


@require_safe
@signed_in
def result(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """`?partial=true`: of a job that goes on, the rows finished so far."""
    job = _batch_or_404(request, job_id)
    try:
        result_files.demand_result(job, partial=request.GET.get("partial") == "true")
    except Refused as refused:
        return _refused(request, job, refused)
    return downloads.answer(request, result_files.result(job))


@require_safe
@signed_in
def rejected(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    job = _batch_or_404(request, job_id)
    try:
        result_files.demand_rejected(job)
    except Refused as refused:
        return _refused(request, job, refused)
    return downloads.answer(request, result_files.rejected(job))


def _batch_or_404(request: HttpRequest, job_id: UUID) -> Job:
    job = job_or_404(request, job_id)
    if job.kind != Kind.BATCH:
        raise Http404
    return job


def _refused(request: HttpRequest, job: Job, refused: Refused) -> HttpResponse:
    return render(request, "predictions/refused.html", {"refused": refused, "job": job}, status=refused.status)

"""What a batch left: the first of its rows on its page, and its files to download."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST, require_safe

from predictions import downloads, exports, pages, result_files
from predictions.errors import Refused
from predictions.models import Export, Job, Kind
from predictions.views.answers import is_script
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


@require_safe
@signed_in
def parquet(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """The file that was made before."""
    job = _batch_or_404(request, job_id)
    try:
        result_files.demand_result(job)
    except Refused as refused:
        return _refused(request, job, refused)
    export = exports.export_of(job)
    if export is None or export.state != Export.State.DONE:
        raise Http404
    return downloads.answer(request, exports.download(job, export))


@require_POST
@signed_in
def make_parquet(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Has the file made; the page shows how it goes and then the link."""
    job, problem = _batch_or_404(request, job_id), None
    try:
        result_files.demand_result(job)
        exports.ask(job)
    except Refused as refused:
        problem = refused
    if not is_script(request):
        return _refused(request, job, problem) if problem else redirect(job)
    context = pages.job_context(job_or_404(request, job_id), request.user, problem)
    return render(request, "predictions/_job.html", context, status=problem.status if problem else 200)


def _batch_or_404(request: HttpRequest, job_id: UUID) -> Job:
    job = job_or_404(request, job_id)
    if job.kind != Kind.BATCH:
        raise Http404
    return job


def _refused(request: HttpRequest, job: Job, refused: Refused) -> HttpResponse:
    return render(request, "predictions/refused.html", {"refused": refused, "job": job}, status=refused.status)

"""Retrying one job, those selected on the list, or what a stopped batch left: a new job on the same stored input."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST
from django_htmx.http import HttpResponseClientRedirect

from predictions import audit, pages, retrying, rights
from predictions.errors import Refused
from predictions.models import Job
from predictions.refusing import permitted
from predictions.retrying import REST, RETRY, Act
from predictions.views.answers import is_script
from predictions.views.job import job_or_404
from predictions.views.selection import back_to_list, selected_jobs
from predictions.views.signed_in import signed_in


@require_POST
@signed_in
@permitted(rights.SUBMIT, rights.RETRY_ANY_JOB)
def retry(request: HttpRequest, job_id: UUID) -> HttpResponse:
    return _once_more(request, job_id, RETRY)


@require_POST
@signed_in
@permitted(rights.SUBMIT, rights.RETRY_ANY_JOB)
def run_rest(request: HttpRequest, job_id: UUID) -> HttpResponse:
    return _once_more(request, job_id, REST)


def _once_more(request: HttpRequest, job_id: UUID, act: Act) -> HttpResponse:
    job = job_or_404(request, job_id)
    try:
        again = _queue(request, job, act)
    except Refused as refused:
        return _refused(request, job, refused)
    return HttpResponseClientRedirect(again.get_absolute_url()) if is_script(request) else redirect(again)


@require_POST
@signed_in
@permitted(rights.SUBMIT, rights.RETRY_ANY_JOB)
def retry_selected(request: HttpRequest) -> HttpResponse:
    counts = Counter(_retry_or_reason(request, job) for job in selected_jobs(request))
    queued = counts.pop("", 0)
    if queued:
        messages.success(request, f"Retry: {queued:,} new {'job was' if queued == 1 else 'jobs were'} queued.")
    for reason, count in counts.items():
        messages.warning(request, f"{count:,} not retried: {reason}")
    if not queued and not counts:
        messages.info(request, "No job was selected.")
    return redirect(back_to_list(request))


def _queue(request: HttpRequest, job: Job, act: Act) -> Job:
    return retrying.again(job, act, request.user, "web", audit.address_of(request))


def _retry_or_reason(request: HttpRequest, job: Job) -> str:
    """Empty where it was queued again, else why it was not."""
    try:
        _queue(request, job, RETRY)
    except Refused as refused:
        return refused.detail
    return ""


def _refused(request: HttpRequest, job: Job, refused: Refused) -> HttpResponse:
    if is_script(request):
        return render(
            request, "predictions/_job.html", pages.job_context(job, request.user, refused), status=refused.status
        )
    messages.error(request, refused.detail)
    return redirect(job)

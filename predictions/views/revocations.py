"""Revoking one job, or those selected on the list."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from predictions import audit, pages, revocation
from predictions.errors import WrongState
from predictions.models import Job
from predictions.views.answers import is_script
from predictions.views.job import job_or_404
from predictions.views.selection import back_to_list, selected_jobs
from predictions.views.signed_in import signed_in

OUTCOMES = NEVER_STARTED, STOPPING, STOPPED, HAD_ENDED = "never started", "stopping", "stopped", "had already ended"


@require_POST
@signed_in
def revoke(request: HttpRequest, job_id: UUID) -> HttpResponse:
    job, problem = job_or_404(request, job_id), None
    try:
        revocation.revoke(job, request.user, audit.address_of(request))
    except WrongState as refused:
        problem = refused
    if not is_script(request):
        if problem:
            messages.error(request, problem.detail)
        return redirect(job)
    context = pages.job_context(job_or_404(request, job_id), request.user, problem)
    return render(request, "predictions/_job.html", context, status=problem.status if problem else 200)


@require_POST
@signed_in
def revoke_selected(request: HttpRequest) -> HttpResponse:
    counts = Counter(_revoke(request, job) for job in selected_jobs(request))
    said = [f"{counts[outcome]:,} {outcome}" for outcome in OUTCOMES if counts[outcome]]
    messages.info(request, f"Revoke: {', '.join(said)}." if said else "No job was selected.")
    return redirect(back_to_list(request))


def _revoke(request: HttpRequest, job: Job) -> str:
    try:
        now = revocation.revoke(job, request.user, audit.address_of(request))
    except WrongState:
        return HAD_ENDED
    if not now.has_ended:
        return STOPPING
    return STOPPED if now.started else NEVER_STARTED

"""Revoking one job."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from predictions import audit, pages, revocation, rights
from predictions.errors import Refused
from predictions.refusing import permitted
from predictions.views.answers import is_script
from predictions.views.job import job_or_404
from predictions.views.signed_in import signed_in


@require_POST
@signed_in
@permitted(rights.SUBMIT, rights.REVOKE_ANY_JOB)
def revoke(request: HttpRequest, job_id: UUID) -> HttpResponse:
    job, problem = job_or_404(request, job_id), None
    try:
        rights.demand_act_on(request.user, job, rights.REVOKE_ANY_JOB)
        revocation.revoke(job, request.user, audit.address_of(request))
    except Refused as refused:
        problem = refused
    if not is_script(request):
        if problem:
            messages.error(request, problem.detail)
        return redirect(job)
    context = pages.job_context(job_or_404(request, job_id), request.user, problem)
    return render(request, "predictions/_job.html", context, status=problem.status if problem else 200)

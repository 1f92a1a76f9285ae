"""The page of one job, the same address for everyone who may see it."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from predictions import pages
from predictions.models import Job
from predictions.views.signed_in import signed_in


def job_or_404(request: HttpRequest, job_id: UUID) -> Job:
    """Somebody else's job answers as one that does not exist."""
    return get_object_or_404(Job.objects.of(request.user).select_related("owner", "upload"), pk=job_id)


@require_GET
@never_cache
@signed_in
def job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    shown = job_or_404(request, job_id)
    context = pages.job_context(shown, request.user) | pages.result_rows_context(shown, request.GET)
    return render(request, "predictions/job.html", context)


@require_GET
@never_cache
@signed_in
def live(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """What moves on the page, for the poll where websockets are cut off."""
    return render(request, "predictions/_job.html", pages.job_context(job_or_404(request, job_id), request.user))

"""Running jobs again on their stored inputs."""

from __future__ import annotations

from collections import Counter

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html

from predictions import audit, retrying
from predictions.errors import Refused
from predictions.models import Job
from workers_admin.permissions import RETRY
from workers_admin.views.doors import act, chosen_jobs, told


@act(RETRY)
def retry(request: HttpRequest) -> HttpResponse:
    return told(request, lambda: _retry(request))


def _retry(request: HttpRequest) -> str:
    jobs = list(chosen_jobs(request))
    if not jobs:
        raise Refused("No job was selected.")
    return _retry_one(request, jobs[0]) if len(jobs) == 1 else _retry_each(request, jobs)


def _retry_one(request: HttpRequest, job: Job) -> str:
    again = _queue(request, job)
    return format_html('Queued again as <a href="{}">{}</a>.', reverse("job", args=[again.pk]), str(again.pk)[-8:])


def _retry_each(request: HttpRequest, jobs: list[Job]) -> str:
    """How many were queued again, and why others were not. Raises Refused where none was."""
    refusals = Counter(_refusal(request, job) for job in jobs)
    queued = refusals.pop("", 0)
    reasons = " ".join(f"{number:,} not retried: {reason}" for reason, number in refusals.items())
    if not queued:
        raise Refused(reasons)
    return f"{queued:,} {'job' if queued == 1 else 'jobs'} queued again. {reasons}".strip()


def _refusal(request: HttpRequest, job: Job) -> str:
    """Empty where it was queued again."""
    try:
        _queue(request, job)
    except Refused as refused:
        return refused.detail
    return ""


def _queue(request: HttpRequest, job: Job) -> Job:
    return retrying.again(job, retrying.RETRY, request.user, "web", audit.address_of(request))

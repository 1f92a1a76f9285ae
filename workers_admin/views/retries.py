"""Running a job again on its stored input."""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html

from predictions import audit, submission
from predictions.errors import Refused
from workers_admin.permissions import RETRY
from workers_admin.views.doors import act, chosen_jobs, told


@act(RETRY)
def retry(request: HttpRequest) -> HttpResponse:
    return told(request, lambda: _retry(request))


def _retry(request: HttpRequest) -> str:
    job = chosen_jobs(request).first()
    if job is None:
        raise Refused("No job was selected.")
    with transaction.atomic():
        again = submission.retry(job, request.user, source="web")
        audit.write(request.user, "retry", f"job {job.pk}", f"queued as {again.pk}", audit.address_of(request))
    page = reverse("job", args=[again.pk])
    return format_html('Queued again as <a href="{}">{}</a>.', page, str(again.pk)[-8:])

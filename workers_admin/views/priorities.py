"""Changing the priority of jobs that wait."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from predictions.audit import address_of
from workers_admin.permissions import CHANGE_PRIORITY
from workers_admin.priorities import change_many
from workers_admin.views.doors import act, chosen_jobs, told


@act(CHANGE_PRIORITY)
def change(request: HttpRequest) -> HttpResponse:
    priority = request.POST.get("priority", "")
    return told(request, lambda: change_many(chosen_jobs(request), priority, request.user, address_of(request)))

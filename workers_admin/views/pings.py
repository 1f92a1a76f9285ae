"""Asking a worker, or all, whether Celery answers there."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from predictions.audit import address_of
from workers_admin.permissions import CONTROL_WORKERS
from workers_admin.pinging import ping
from workers_admin.views.doors import act, told


@act(CONTROL_WORKERS)
def send(request: HttpRequest) -> HttpResponse:
    return told(request, lambda: ping(request.POST.get("worker", ""), request.user, address_of(request)))

"""Asking a worker to finish and stop."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from predictions.audit import address_of
from workers_admin.permissions import STOP_WORKERS
from workers_admin.stopping import finish_and_stop
from workers_admin.views.doors import act, told


@act(STOP_WORKERS)
def stop(request: HttpRequest) -> HttpResponse:
    return told(request, lambda: finish_and_stop(request.POST.get("worker", ""), request.user, address_of(request)))

"""Taking a lost worker, or a silent autoscaler, out of sight."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from predictions.audit import address_of
from workers_admin import stopping
from workers_admin.permissions import DISMISS_WORKERS
from workers_admin.views.doors import act, told


@act(DISMISS_WORKERS)
def dismiss(request: HttpRequest) -> HttpResponse:
    return told(request, lambda: stopping.dismiss(request.POST.get("worker", ""), request.user, address_of(request)))


@act(DISMISS_WORKERS)
def dismiss_scaler(request: HttpRequest) -> HttpResponse:
    number = request.POST.get("scaler", "")
    return told(request, lambda: stopping.dismiss_scaler(number, request.user, address_of(request)))

"""Giving a worker's pool another process, and taking one away."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from predictions.audit import address_of
from workers_admin import resizing
from workers_admin.permissions import CONTROL_WORKERS
from workers_admin.views.doors import act, told


@act(CONTROL_WORKERS)
def grow(request: HttpRequest) -> HttpResponse:
    return told(request, lambda: resizing.grow(request.POST.get("worker", ""), request.user, address_of(request)))


@act(CONTROL_WORKERS)
def shrink(request: HttpRequest) -> HttpResponse:
    return told(request, lambda: resizing.shrink(request.POST.get("worker", ""), request.user, address_of(request)))

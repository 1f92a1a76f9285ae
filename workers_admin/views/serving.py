"""Adding a queue to what a worker serves, and dropping one."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from predictions.audit import address_of
from workers_admin.permissions import CONTROL_WORKERS
from workers_admin.serving import add_queue, drop_queue
from workers_admin.views.doors import act, told


@act(CONTROL_WORKERS)
def add(request: HttpRequest) -> HttpResponse:
    return told(request, lambda: add_queue(*_named(request), request.user, address_of(request)))


@act(CONTROL_WORKERS)
def drop(request: HttpRequest) -> HttpResponse:
    return told(request, lambda: drop_queue(*_named(request), request.user, address_of(request)))


def _named(request: HttpRequest) -> tuple[str, str]:
    """A button sends one value: the queue, a space, and the worker."""
    queue, _, worker = request.POST.get("served", "").partition(" ")
    return worker, queue

"""Pausing a queue and resuming it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from predictions import pausing
from predictions.audit import address_of
from workers_admin.permissions import PAUSE_QUEUES
from workers_admin.views.doors import act, told


@act(PAUSE_QUEUES)
def pause(request: HttpRequest) -> HttpResponse:
    return told(request, lambda: _pause(request))


@act(PAUSE_QUEUES)
def resume(request: HttpRequest) -> HttpResponse:
    return told(request, lambda: _resume(request))


def _pause(request: HttpRequest) -> str:
    queue = request.POST.get("queue", "")
    pausing.pause(queue, request.user, address_of(request))
    return f"{queue} is paused. Jobs are accepted and wait; what runs ends as usual."


def _resume(request: HttpRequest) -> str:
    queue = request.POST.get("queue", "")
    pausing.resume(queue, request.user, address_of(request))
    return f"{queue} is resumed."

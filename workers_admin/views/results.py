"""Keeping results, letting them expire, and removing them now."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from workers_admin import keeping
from workers_admin.permissions import CHANGE_RESULTS
from workers_admin.views.doors import act, each, told


@act(CHANGE_RESULTS)
def keep(request: HttpRequest) -> HttpResponse:
    return told(request, lambda: each(request, keeping.keep, "kept"))


@act(CHANGE_RESULTS)
def let_expire(request: HttpRequest) -> HttpResponse:
    return told(request, lambda: each(request, keeping.let_expire, "will expire as planned"))


@act(CHANGE_RESULTS)
def remove(request: HttpRequest) -> HttpResponse:
    return told(request, lambda: each(request, keeping.remove_now, "removed"))

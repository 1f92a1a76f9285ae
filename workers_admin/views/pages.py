"""The console's five pages."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from workers_admin.console_page import console_context
from workers_admin.spans import asked
from workers_admin.views.doors import page


@page
def overview(request: HttpRequest) -> HttpResponse:
    """Its plots stand still while the rest moves: they fetch their own news."""
    return _shown(request, "overview", plots=asked(request.GET))


@page
def queues(request: HttpRequest) -> HttpResponse:
    return _shown(request, "queues")


@page
def workers(request: HttpRequest) -> HttpResponse:
    return _shown(request, "workers")


@page
def results(request: HttpRequest) -> HttpResponse:
    return _shown(request, "results")


@page
def audit(request: HttpRequest) -> HttpResponse:
    return _shown(request, "audit")


def _shown(request: HttpRequest, view: str, **more: Any) -> HttpResponse:
    return render(request, f"workers_admin/{view}.html", console_context(view, request.user, request.GET) | more)

"""The list of jobs, and its rows alone for the poll where websockets are cut off."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from predictions import pages
from predictions.job_list import JobList
from predictions.models import Job
from predictions.views.signed_in import signed_in


@require_GET
@never_cache
@signed_in
def jobs(request: HttpRequest) -> HttpResponse:
    shown = JobList(request.user, request.GET)
    return render(request, "predictions/jobs.html", pages.list_context(shown), status=200 if shown.is_valid else 422)


@require_GET
@never_cache
@signed_in
def rows(request: HttpRequest) -> HttpResponse:
    """The rows from `newest` on, as they are now; without it the first page."""
    shown = JobList(request.user, request.GET)
    newest = _id(request, "newest")
    found = shown.window(newest) if newest else shown.page()[0]
    return _polled(request, "predictions/_job_rows.html", found)


@require_GET
@never_cache
@signed_in
def new_rows(request: HttpRequest) -> HttpResponse:
    """What came after `newest`; a page that has no rows yet asks without."""
    shown = JobList(request.user, request.GET)
    return _polled(request, "predictions/_new_job_rows.html", shown.newer(_id(request, "newest")))


def _polled(request: HttpRequest, body: str, found: list[Job]) -> HttpResponse:
    return render(request, "predictions/_polled_rows.html", {"body": body, "jobs": found, "viewer": request.user})


def _id(request: HttpRequest, name: str) -> UUID | None:
    try:
        return UUID(request.GET[name])
    except (KeyError, ValueError):
        return None

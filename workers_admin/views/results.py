"""Keeping results, letting them expire, removing them now, and the row that django-celery-results has of one task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from predictions import task_rows
from predictions.audit import address_of
from predictions.errors import Refused
from predictions.models import Job
from workers_admin import keeping
from workers_admin.permissions import CHANGE_RESULTS, acts_of
from workers_admin.views.doors import act, chosen_jobs, page, told

Act = Callable[[list[Job], Any, str | None], str]


@act(CHANGE_RESULTS)
def keep(request: HttpRequest) -> HttpResponse:
    return told(request, lambda: _chosen(request, keeping.keep))


@act(CHANGE_RESULTS)
def let_expire(request: HttpRequest) -> HttpResponse:
    return told(request, lambda: _chosen(request, keeping.let_expire))


@act(CHANGE_RESULTS)
def remove(request: HttpRequest) -> HttpResponse:
    return told(request, lambda: _chosen(request, keeping.remove_now))


def _chosen(request: HttpRequest, act: Act) -> str:
    jobs = list(chosen_jobs(request))
    if not jobs:
        raise Refused("No job was selected.")
    return act(jobs, request.user, address_of(request))


def task(request: HttpRequest, task_id: UUID) -> HttpResponseBase:
    return page(lambda seen: _task(seen, task_id))(request)


def _task(request: HttpRequest, task_id: UUID) -> HttpResponse:
    row, job = task_rows.whole(task_id), Job.objects.filter(pk=task_id).first()
    if row is None and job is None:
        raise Http404
    context = {"task_id": task_id, "task": row, "job": job, "view": "results", "may": acts_of(request.user)}
    return render(request, "workers_admin/task.html", context)

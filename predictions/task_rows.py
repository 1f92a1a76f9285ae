"""Reads the rows of django-celery-results as the console shows them: for a list without what may be long."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models.functions import Length, Substr
from django_celery_results.models import TaskResult

BEGINNING = 120
MOST_SHOWN = 64 * 1024
LISTED = ("task_id", "status", "worker", "date_started", "date_done")


def listed(job_ids: Iterable[UUID]) -> dict[UUID, dict[str, Any]]:
    """By job. begins: the first characters of the result; size: of all of it, in characters."""
    rows = TaskResult.objects.filter(task_id__in=[str(job_id) for job_id in job_ids])
    found = rows.values(*LISTED, begins=Substr("result", 1, BEGINNING), size=Length("result"))
    return {UUID(row["task_id"]): row for row in found}


def whole(job_id: UUID) -> dict[str, Any] | None:
    """One row. Of a very long result, its first 64 kB."""
    rows = TaskResult.objects.filter(task_id=str(job_id))
    shown = rows.values(
        *LISTED, "task_name", "date_created", "traceback", begins=Substr("result", 1, MOST_SHOWN), size=Length("result")
    )
    found: dict[str, Any] | None = shown.first()
    return found

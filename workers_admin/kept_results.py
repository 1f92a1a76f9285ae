"""What becomes of results: how many expire soon, what was removed, and what is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, QuerySet, Sum

from predictions.job_list import COUNTED, HEAVY
from predictions.models import Job, utc_now
from workers_admin.recent import Counted

SOON = timedelta(hours=1)
SHOWN = 12


@dataclass(frozen=True)
class Removed:
    """Of the 10,000 results that went last at most. is_least: there are more."""

    number: int
    freed_bytes: int
    is_least: bool


def policy() -> dict[str, Any]:
    """How long results live, and what became of those that were there."""
    return {
        "result_expires_s": settings.RESULT_EXPIRES,
        "history_days": settings.HISTORY_DAYS,
        "expiring_count": expiring_count(),
        "removed": removed(),
    }


def lists() -> dict[str, Any]:
    return {"expiring_jobs": expiring(), "kept_jobs": kept(), "removed_jobs": removed_lately()}


def expiring_count() -> Counted:
    """Of the results that go within the hour."""
    number = _soon()[: COUNTED + 1].aggregate(number=Count("pk"))["number"]
    return Counted(min(number, COUNTED), number > COUNTED)


def expiring() -> list[Job]:
    """The next to go."""
    return _shown(_soon().order_by("expires"))


def kept() -> list[Job]:
    return _shown(Job.objects.filter(kept=True, expires__isnull=False).order_by("-pk"))


def removed_lately() -> list[Job]:
    return _shown(_removed())


def removed() -> Removed:
    found = _removed()[: COUNTED + 1].aggregate(number=Count("removed"), freed=Sum("freed_bytes"))
    return Removed(min(found["number"], COUNTED), found["freed"] or 0, found["number"] > COUNTED)


def _removed() -> QuerySet[Job]:
    """However the job had ended, those whose results went last first: an index holds them in this order, and what they freed."""
    return Job.objects.filter(removed__isnull=False).order_by("-removed")


def _soon() -> QuerySet[Job]:
    return Job.objects.filter(expires__lt=utc_now() + SOON, kept=False)


def _shown(jobs: QuerySet[Job]) -> list[Job]:
    return list(jobs.select_related("owner").defer(*HEAVY)[:SHOWN])

"""What becomes of results: how many expire soon, what was removed, and what is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, QuerySet, Sum

from predictions.job_list import COUNTED, HEAVY
from predictions.models import Job, State, utc_now
from workers_admin.recent import Counted

SOON = timedelta(hours=1)
SHOWN = 12


@dataclass(frozen=True)
class Removed:
    """Of the newest 10,000 expired jobs at most. is_least: there are more."""

    number: int
    freed_bytes: int
    is_least: bool


def expiring() -> tuple[list[Job], Counted]:
    """The next to go within the hour, and how many there are."""
    soon = Job.objects.filter(expires__lt=utc_now() + SOON, kept=False)
    number = soon[: COUNTED + 1].aggregate(number=Count("pk"))["number"]
    return _shown(soon.order_by("expires")), Counted(min(number, COUNTED), number > COUNTED)


def kept() -> list[Job]:
    return _shown(Job.objects.filter(kept=True, expires__isnull=False).order_by("-pk"))


def removed_lately() -> list[Job]:
    return _shown(Job.objects.filter(state=State.EXPIRED).order_by("-pk"))


def removed() -> Removed:
    newest = Job.objects.filter(state=State.EXPIRED).order_by("-pk")
    found = newest[: COUNTED + 1].aggregate(number=Count("pk"), freed=Sum("freed_bytes"))
    return Removed(min(found["number"], COUNTED), found["freed"] or 0, found["number"] > COUNTED)


def _shown(jobs: QuerySet[Job]) -> list[Job]:
    return list(jobs.select_related("owner").defer(*HEAVY)[:SHOWN])

"""What a model did in the last 24 hours: how many jobs of each kind, and what they took."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from django.db.models import Count

from predictions.models import Job, Kind, State, utc_now

WINDOW = timedelta(hours=24)
LOOKED_AT = 500
"""Runs behind a median: the latest are enough, and a busy day stays cheap."""


@dataclass(frozen=True)
class Figures:
    """median_s: None where no such job succeeded."""

    kind: str
    jobs: int
    median_s: float | None


def figures(ref: str) -> list[Figures]:
    """Of vectors, then of batches."""
    since = utc_now() - WINDOW
    ended = Job.objects.filter(model=ref, finished__gt=since)
    counts = dict(ended.values_list("kind").annotate(Count("pk")).order_by())
    return [
        Figures(kind, counts.get(kind, 0), _median_s(ref, kind) if counts.get(kind) else None) for kind in Kind.values
    ]


def _median_s(ref: str, kind: str) -> float | None:
    succeeded = Job.objects.filter(
        model=ref, kind=kind, state__in=[State.SUCCEEDED, State.EXPIRED], started__isnull=False
    )
    latest = succeeded.filter(finished__gt=utc_now() - WINDOW).order_by("-finished")
    times = latest.values_list("started", "finished")[:LOOKED_AT]
    took = [(finished - started).total_seconds() for started, finished in times if started and finished]
    return median(took) if took else None

"""How long a queued job will wait: how many go before it, and what those before it took."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Q
from django.db.models.functions import Now

from predictions.models import Job, State
from predictions.workers import live_workers

LOOKED_AT = 50
RECENT = timedelta(minutes=15)


@dataclass(frozen=True)
class Position:
    """ahead: jobs that go first; eta_s: (low, high) until it starts, None where nothing is known or nobody works."""

    ahead: int
    eta_s: tuple[float, float] | None

    def as_json(self) -> dict[str, object]:
        return {"ahead": self.ahead, "eta_s": None if self.eta_s is None else list(self.eta_s)}


def position(job: Job) -> Position | None:
    """None where the job does not wait."""
    if job.state != State.QUEUED:
        return None
    before = Q(priority__gt=job.priority) | Q(priority=job.priority, pk__lt=job.pk)
    ahead = Job.objects.filter(before, queue=job.queue, state=State.QUEUED).count()
    return Position(ahead, _eta(job.queue, ahead))


def outlook(queue: str, priorities: Iterable[int]) -> dict[int, Position]:
    """Where a job would stand if it were submitted now, for each of these priorities."""
    queued = Job.objects.filter(queue=queue, state=State.QUEUED)
    ahead = {priority: queued.filter(priority__gte=priority).count() for priority in priorities}
    return {priority: Position(count, _eta(queue, count)) for priority, count in ahead.items()}


def _eta(queue: str, ahead: int) -> tuple[float, float] | None:
    serving = len(live_workers(queue))
    took = _recent_runs_s(queue)
    if not serving or not took:
        return None
    took.sort()
    low, high = took[len(took) // 4], took[(len(took) * 9) // 10]
    return round(ahead * low / serving, 2), round((ahead + 1) * high / serving, 2)


def _recent_runs_s(queue: str) -> list[float]:
    ended = Job.objects.filter(queue=queue, state=State.SUCCEEDED, finished__gt=Now() - RECENT, started__isnull=False)
    times = ended.order_by("-pk").values_list("started", "finished")[:LOOKED_AT]
    return [(finished - started).total_seconds() for started, finished in times]

"""How long a queued job will wait: how many go before it, and what those before it took."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db.models import Q

from predictions.models import Job, State, first_id_at, utc_now
from predictions.pauses import is_paused
from predictions.workers import live_workers

LOOKED_AT = 50
PACE_KEPT_S = 1.0
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
    return positions([job]).get(job.pk)


def positions(jobs: Iterable[Job]) -> dict[UUID, Position]:
    """Of those among `jobs` that wait. The pace of a queue is asked once, whatever the number of jobs."""
    waiting = [job for job in jobs if job.state == State.QUEUED]
    paces = {queue: pace_of(queue) for queue in {job.queue for job in waiting}}
    return {job.pk: paces[job.queue].position(_ahead(job)) for job in waiting}


def outlook(queue: str, priorities: Iterable[int], lane: int) -> dict[int, Position]:
    """Where a job of this lane would stand if it were submitted now, for each of these priorities."""
    pace = pace_of(queue)
    queued = Job.objects.filter(queue=queue, state=State.QUEUED)
    before = {priority: Q(priority__gt=priority) | Q(priority=priority, lane__lte=lane) for priority in priorities}
    return {priority: pace.position(queued.filter(those).count()) for priority, those in before.items()}


def _ahead(job: Job) -> int:
    """Of the same priority the other lane goes first or last, and within a lane the older."""
    same = Q(priority=job.priority)
    before = Q(priority__gt=job.priority) | same & Q(lane__lt=job.lane) | same & Q(lane=job.lane, pk__lt=job.pk)
    return Job.objects.filter(before, queue=job.queue, state=State.QUEUED).count()


@dataclass(frozen=True)
class Pace:
    """How fast a queue goes: its live workers, and what the quicker and the slower of its recent jobs took."""

    workers: int
    quick_s: float
    slow_s: float

    @classmethod
    def of(cls, queue: str) -> Pace:
        took = sorted(_recent_runs_s(queue))
        if not took or is_paused(queue):
            return cls(0, 0.0, 0.0)
        return cls(len(live_workers(queue)), took[len(took) // 4], took[(len(took) * 9) // 10])

    def position(self, ahead: int) -> Position:
        if not self.workers:
            return Position(ahead, None)
        return Position(
            ahead, (round(ahead * self.quick_s / self.workers, 2), round((ahead + 1) * self.slow_s / self.workers, 2))
        )


_paces: dict[str, tuple[float, Pace]] = {}


def pace_of(queue: str) -> Pace:
    """At most a second old: it is asked for with every answer about a job that waits."""
    now = time.monotonic()
    known = _paces.get(queue)
    if known is None or now - known[0] > PACE_KEPT_S:
        known = _paces[queue] = (now, Pace.of(queue))
    return known[1]


def _recent_runs_s(queue: str) -> list[float]:
    """Ids sort by the time they were made, so that a long history is not searched for recent jobs."""
    recent = Job.objects.filter(queue=queue, state=State.SUCCEEDED, pk__gte=first_id_at(utc_now() - RECENT))
    times = recent.order_by("-pk").values_list("started", "finished")[:LOOKED_AT]
    return [(finished - started).total_seconds() for started, finished in times if started and finished]

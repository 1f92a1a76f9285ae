"""How the last five minutes went: waits, runs and failures, from a bounded look at the newest jobs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet

from predictions.job_list import HEAVY
from predictions.models import Job, State, utc_now
from predictions.queues import PRIORITIES, QUEUES

WINDOW = timedelta(minutes=5)
LOOKED_AT = 500
SHOWN = 10
Times = tuple[datetime, datetime, datetime]


@dataclass(frozen=True)
class Took:
    """One queue's jobs that ended of late: (p50, p95) in seconds. is_sample: more ended than were looked at."""

    queue: str
    ended: int
    wait_s: tuple[float, float] | None
    run_s: tuple[float, float] | None
    is_sample: bool = False


@dataclass(frozen=True)
class Counted:
    """is_least: there may be more than `number`."""

    number: int
    is_least: bool = False


def took() -> list[Took]:
    """By queue, over the newest 500 jobs that ended in the last five minutes."""
    ended = Job.objects.filter(finished__gt=utc_now() - WINDOW, started__isnull=False).order_by("-finished")
    rows = list(ended.values_list("queue", "created", "started", "finished")[:LOOKED_AT])
    by_queue: dict[str, list[Times]] = {queue: [] for queue in QUEUES}
    for queue, created, started, finished in rows:
        if started and finished:
            by_queue[queue].append((created, started, finished))
    return [_took(queue, times, len(rows) == LOOKED_AT) for queue, times in by_queue.items() if times]


def _took(queue: str, times: list[Times], is_sample: bool) -> Took:
    waits = sorted(_between(created, started) for created, started, _ in times)
    runs = sorted(_between(started, finished) for _, started, finished in times)
    return Took(queue, len(times), percentiles(waits), percentiles(runs), is_sample)


def _between(begin: datetime, end: datetime) -> float:
    """Clocks of two processes may differ by a little; time does not run back."""
    return max(0.0, (end - begin).total_seconds())


def percentiles(ordered: list[float]) -> tuple[float, float] | None:
    """(p50, p95) of values in order, by nearest rank."""
    if not ordered:
        return None
    return ordered[-(-len(ordered) // 2) - 1], ordered[-(-len(ordered) * 95 // 100) - 1]


def failures() -> Counted:
    """How many of the newest 500 failed jobs failed in the last five minutes."""
    newest = Job.objects.filter(state=State.FAILED).order_by("-pk")[:LOOKED_AT]
    since = utc_now() - WINDOW
    number = sum(finished is not None and finished > since for finished in newest.values_list("finished", flat=True))
    return Counted(number, number == LOOKED_AT)


def running() -> list[Job]:
    """The longest running first: those an operator looks for, and new ones come in below."""
    return list(_shown(Job.objects.filter(state=State.RUNNING)).order_by("pk")[:SHOWN])


def running_count() -> int:
    return Job.objects.filter(state=State.RUNNING).count()


def failed() -> list[Job]:
    return list(_shown(Job.objects.filter(state=State.FAILED)).order_by("-pk")[:SHOWN])


def next_in_line(queue: str) -> list[Job]:
    """The first ten of a queue, most urgent first: a look at the index for each priority, so that depth costs nothing."""
    found: list[Job] = []
    for priority in reversed(PRIORITIES):
        waiting = Job.objects.filter(queue=queue, priority=priority, state=State.QUEUED)
        found += _shown(waiting).order_by("pk")[: SHOWN - len(found)]
        if len(found) == SHOWN:
            break
    return found


def _shown(jobs: QuerySet[Job]) -> QuerySet[Job]:
    return jobs.select_related("owner").defer(*HEAVY)

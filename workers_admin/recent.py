"""How the last five minutes went: waits and runs by the samples, the rest by a bounded look at the newest jobs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import QuerySet

from predictions.clock import now_s
from predictions.job_list import HEAVY
from predictions.models import Job, State, utc_now
from predictions.queues import PRIORITIES, QUEUES
from workers_admin.histograms import quantiles, seconds_of
from workers_admin.models import Sample
from workers_admin.samples import EVERY_S
from workers_admin.stretches import Stretch, stretch_of

WINDOW = timedelta(minutes=5)
LOOKED_AT = 500
SHOWN = 10
Percentiles = tuple[float, float] | tuple[None, None]


@dataclass(frozen=True)
class Took:
    """One queue's jobs that ended of late: (p50, p95) in seconds, None where none of them started."""

    queue: str
    ended: int
    wait_s: Percentiles
    run_s: Percentiles


@dataclass(frozen=True)
class Counted:
    """is_least: there may be more than `number`."""

    number: int
    is_least: bool = False


def took() -> list[Took]:
    """By queue, of all jobs in the samples of the last five minutes: what ended in the last seconds is not in them yet."""
    rows = Sample.objects.filter(every_s=EVERY_S, at__gte=now_s() - WINDOW.total_seconds(), model="")
    by_queue = {queue: Stretch() for queue in QUEUES}
    for row in rows:
        by_queue[row.queue].add(stretch_of(row))
    found = [_took(queue, stretch) for queue, stretch in by_queue.items()]
    return [each for each in found if each.ended]


def _took(queue: str, stretch: Stretch) -> Took:
    ended = stretch.counts.total() - stretch.counts["submitted"]
    return Took(queue, ended, _percentiles(stretch.histograms["waits"]), _percentiles(stretch.histograms["runs"]))


def _percentiles(histogram: dict[int, int]) -> Percentiles:
    found = quantiles(histogram, (0.5, 0.95))
    return (seconds_of(found[0]), seconds_of(found[1])) if found else (None, None)


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
        found += _shown(waiting).order_by("lane", "pk")[: SHOWN - len(found)]
        if len(found) == SHOWN:
            break
    return found


def _shown(jobs: QuerySet[Job]) -> QuerySet[Job]:
    return jobs.select_related("owner").defer(*HEAVY)

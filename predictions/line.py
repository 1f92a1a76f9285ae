"""The line of a queue as one thread knows it that lets jobs in: where a fresh job stands, without counting for each."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from django.db.models import Count

from predictions import waiting
from predictions.fresh import FreshJob
from predictions.models import Job, State
from predictions.waiting import Position

COUNT_EVERY_S = 0.1
COUNTING_SHARE = 0.05  # a long line is counted less often: so much of the time at most goes into it
Band = tuple[int, int]


class Line:
    """Counted in the database ten times a second at most; in between, what was let in here is added."""

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._counts: Counter[Band] = Counter()
        self._count_at = 0.0

    def join(self, jobs: Sequence[FreshJob]) -> None:
        """These are queued now."""
        self._counts.update(map(_band, jobs))

    def places(self, jobs: Sequence[FreshJob]) -> list[Position]:
        """Where each of these stands; they are the last that joined."""
        self._count_now_and_then()
        pace = waiting.pace_of(self._queue)
        behind = Counter[Band]()
        found = dict[FreshJob, Position]()
        for job in sorted(jobs, key=lambda job: job.id, reverse=True):
            behind[_band(job)] += 1
            found[job] = pace.position(max(0, self._up_to(job) - behind[_band(job)]))
        return [found[job] for job in jobs]

    def _up_to(self, job: FreshJob) -> int:
        """How many are in its band and those before it."""
        return sum(
            count
            for (priority, lane), count in self._counts.items()
            if priority > job.priority or (priority == job.priority and lane <= job.lane)
        )

    def _count_now_and_then(self) -> None:
        began = time.monotonic()
        if began < self._count_at:
            return
        bands = Job.objects.filter(queue=self._queue, state=State.QUEUED).values_list("priority", "lane")
        self._counts = Counter({(priority, lane): n for priority, lane, n in bands.annotate(n=Count("pk"))})
        now = time.monotonic()
        self._count_at = now + max(COUNT_EVERY_S, (now - began) / COUNTING_SHARE)


def _band(job: FreshJob) -> Band:
    return job.priority, job.lane

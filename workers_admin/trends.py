"""How the last five minutes went for a queue, by its samples: whether it kept growing, and how many of its jobs failed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from workers_admin.models import Sample

EVERY_S = 10
WINDOW_S = 300
MINUTE_S = 60
SETTLES_S = 90
"""Samples come this late at most; the five minutes end with the newest."""


@dataclass(frozen=True)
class Point:
    """Ten seconds of a queue. depth: what waited at its end, None where nobody could tell."""

    at: int
    depth: int | None
    succeeded: int = 0
    failed: int = 0


def trends(now_s: float) -> dict[str, list[Point]]:
    """By queue, the oldest first. now_s: of the database's clock."""
    since = int(now_s) - WINDOW_S - SETTLES_S
    found: dict[str, list[Point]] = defaultdict(list)
    rows = Sample.objects.filter(every_s=EVERY_S, at__gte=since, model="").order_by("at")
    numbers = ("waiting", "unpublished", "succeeded", "failed")
    for queue, at, waiting, unpublished, succeeded, failed in rows.values_list("queue", "at", *numbers):
        depth = None if waiting is None else waiting + (unpublished or 0)
        found[queue].append(Point(at, depth, succeeded, failed))
    return {queue: _last_minutes(points) for queue, points in found.items()}


def _last_minutes(points: Sequence[Point]) -> list[Point]:
    return [point for point in points if point.at > points[-1].at - WINDOW_S]


def growth(points: Sequence[Point]) -> tuple[int, int] | None:
    """(least depth five minutes ago, least depth now) where it rose from each minute to the next; None: it did not, or nobody knows.

    The least of a minute, so that a burst which is worked off is no growth.
    """
    minutes: dict[int, list[int]] = defaultdict(list)
    for point in points:
        if point.depth is not None:
            minutes[(points[-1].at - point.at) // MINUTE_S].append(point.depth)
    least = [min(minutes[ago]) for ago in sorted(minutes, reverse=True)]
    has_grown = len(least) == WINDOW_S // MINUTE_S and all(a < b for a, b in pairwise(least))
    return (least[0], least[-1]) if has_grown else None


def failures(points: Iterable[Point]) -> tuple[int, int]:
    """(failed, ended by themselves)."""
    known = list(points)
    failed = sum(point.failed for point in known)
    return failed, failed + sum(point.succeeded for point in known)

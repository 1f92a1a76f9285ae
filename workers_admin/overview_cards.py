"""What the overview shows of each queue: how deep it is now, and how that has changed in five minutes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from predictions.templatetags.job_words import duration
from workers_admin.condition import Facts
from workers_admin.depths import QueueDepth
from workers_admin.trends import WINDOW_S, Point

WIDTH, HEIGHT = 100, 24


@dataclass(frozen=True)
class OverviewCard:
    """depths: (epoch seconds, what waited), as far as anybody could tell."""

    depth: QueueDepth
    depths: list[tuple[int, int]]

    @property
    def trend(self) -> str:
        """As in "120 more than 5 min ago"; of a queue that has only just been looked at, since when it is known."""
        (began, first), (ended, last) = self.depths[0], self.depths[-1]
        ago = f"{duration(ended - began)} ago"
        return (
            f"{abs(last - first):,} {'more' if last > first else 'fewer'} than {ago}"
            if last != first
            else f"as many as {ago}"
        )

    @property
    def line(self) -> str:
        """The depths as points of an SVG polyline, WIDTH x HEIGHT, the newest at the right."""
        most = max((waited for _, waited in self.depths), default=0) or 1
        return " ".join(f"{self._x(at):.1f},{HEIGHT - HEIGHT * waited / most:.1f}" for at, waited in self.depths)

    def _x(self, at: int) -> float:
        return WIDTH * (1 - (self.depths[-1][0] - at) / WINDOW_S)


def cards(facts: Facts) -> list[OverviewCard]:
    return [OverviewCard(depth, _known(facts.trends.get(depth.name, ()))) for depth in facts.depths]


def _known(points: Sequence[Point]) -> list[tuple[int, int]]:
    return [(point.at, point.depth) for point in points if point.depth is not None]

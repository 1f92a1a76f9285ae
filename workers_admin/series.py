"""The samples as plots show them: a value for each stretch, None where nobody sampled or there is nothing to tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast

from predictions.clock import now_s
from predictions.queues import QUEUES
from workers_admin.downsampling import KEPT_S
from workers_admin.histograms import from_json, merge, quantiles, seconds_of
from workers_admin.models import Sample
from workers_admin.spans import Asked, Range, Scope
from workers_admin.stretches import HISTOGRAMS

OUTCOMES = ("succeeded", "failed", "revoked")
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
PASSES = {"p50": 0.5, "p95": 0.95, "largest": 1.0}
Values = Mapping[str, float | None]
Histogram = dict[int, int]


@dataclass
class Point:
    """One stretch as far as it is known. depth: by queue; covered_s: for how long there are samples in it."""

    depth: dict[str, float | None] = field(default_factory=dict)
    covered_s: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    histograms: dict[str, Histogram] = field(default_factory=lambda: {name: {} for name in HISTOGRAMS})


def _depth(point: Point) -> Values:
    return point.depth


def _throughput(point: Point) -> Values:
    """Jobs a second."""
    return {outcome: point.counts[outcome] / point.covered_s for outcome in OUTCOMES} if point.covered_s else {}


def _waits(point: Point) -> Values:
    return _times(point.histograms["waits"])


def _runs(point: Point) -> Values:
    return _times(point.histograms["runs"])


def _times(histogram: Histogram) -> Values:
    buckets = quantiles(histogram, SHARES.values())
    return dict(zip(SHARES, map(seconds_of, buckets), strict=False))


def _passes(point: Point) -> Values:
    """Vectors scored in one pass: of n jobs that were scored n at a time, each is the nth part of a pass."""
    passes = {size: jobs / size for size, jobs in point.histograms["micro_batches"].items()}
    return dict(zip(PASSES, quantiles(passes, PASSES.values()), strict=False))


# {plot: (its lines, their values at a point)}
PLOTS: dict[str, tuple[Iterable[str], Callable[[Point], Values]]] = {
    "depth": (QUEUES, _depth),
    "throughput": (OUTCOMES, _throughput),
    "wait": (SHARES, _waits),
    "run": (SHARES, _runs),
    "micro-batch": (PASSES, _passes),
}


def plots(asked: Asked, since: int = 0) -> dict[str, Any]:
    """From the stretch that began at `since` on, for a page that already has what was before."""
    shown, now = asked.range, now_s()
    begin = _whole(max(now - shown.lasts_s, since), shown)
    points = _points(asked, begin)
    at = range(begin, max(points, default=begin - shown.every_s) + shown.every_s, shown.every_s)
    return {
        "now": round(now, 3),
        "lasts_s": shown.lasts_s,
        "every_s": shown.every_s,
        "at": list(at),
        "plots": {
            name: _series([value(points[each]) if each in points else {} for each in at], labels)
            for name, (labels, value) in PLOTS.items()
        },
    }


def _series(values: list[Values], labels: Iterable[str]) -> dict[str, list[float | None]]:
    return {label: [_short(each.get(label)) for each in values] for label in labels}


def _short(value: float | None) -> float | None:
    """Of a fraction four digits; a count stays exact."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _whole(moment_s: float, shown: Range) -> int:
    return int(moment_s // shown.every_s) * shown.every_s


def _points(asked: Asked, begin: int) -> dict[int, Point]:
    """By when their stretch began."""
    points: dict[int, Point] = {}
    for at, every_s, queue, waiting, unpublished in _read(
        _of(Scope()), asked.range, begin, "queue", "waiting", "unpublished"
    ):
        point = points.setdefault(_whole(at, asked.range), Point())
        point.covered_s += every_s * (queue == QUEUES[0])
        depth = None if waiting is None else waiting + unpublished
        point.depth[queue] = max((each for each in (point.depth.get(queue), depth) if each is not None), default=None)
    as_text = {f"{name}_text": Cast(name, TextField()) for name in HISTOGRAMS}
    for at, _, *counted in _read(_of(asked.scope).annotate(**as_text), asked.range, begin, *OUTCOMES, *as_text):
        _count(points.setdefault(_whole(at, asked.range), Point()), counted)
    return points


def _count(point: Point, counted: list[Any]) -> None:
    """counted: the jobs of each outcome, then the histograms as text, which is a third of the work of Django's JSONField."""
    point.counts.update(dict(zip(OUTCOMES, counted, strict=False)))
    for name, text in zip(HISTOGRAMS, counted[len(OUTCOMES) :], strict=True):
        if text != "{}":
            merge(point.histograms[name], from_json(orjson.loads(text)))


def _of(scope: Scope) -> QuerySet[Sample]:
    rows = Sample.objects.filter(model=scope.model)
    return rows.filter(queue=scope.queue) if scope.queue else rows


def _read(rows: QuerySet[Sample], shown: Range, begin: int, *names: str) -> Iterator[Any]:
    """(at, every_s, *names) of each: samples of the range's own length, and shorter ones for the end that these do not reach yet."""
    for every_s in [each for each in reversed(KEPT_S) if each <= shown.every_s]:
        for row in rows.filter(every_s=every_s, at__gte=begin).order_by("at").values_list("at", "every_s", *names):
            yield row
            begin = row[0] + every_s

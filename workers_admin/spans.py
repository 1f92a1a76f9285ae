"""What the overview's plots are asked to show: how far back, and whose jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q

from predictions.clock import now_s
from predictions.queues import QUEUES
from workers_admin.downsampling import DAY_S, HOUR_S
from workers_admin.models import Sample
from workers_admin.samples import EVERY_S


@dataclass(frozen=True)
class Range:
    """lasts_s: how far back; every_s: the length of its stretches, so that they are at most 360."""

    name: str
    words: str
    lasts_s: int
    every_s: int


RANGES = {
    each.name: each
    for each in (
        Range("15m", "15 min", HOUR_S // 4, 10),
        Range("1h", "1 h", HOUR_S, 10),
        Range("6h", "6 h", 6 * HOUR_S, 60),
        Range("24h", "24 h", DAY_S, 300),
        Range("7d", "7 d", 7 * DAY_S, 1800),
    )
}
DEFAULT = "1h"


@dataclass(frozen=True, order=True)
class Scope:
    """The jobs of a queue, of one model on it, or (both empty) all."""

    queue: str = ""
    model: str = ""

    @property
    def value(self) -> str:
        """As the address holds it."""
        return f"{self.queue}:{self.model}" if self.model else self.queue

    @property
    def words(self) -> str:
        return " · ".join(filter(None, (self.queue or "All queues", self.model)))


@dataclass(frozen=True)
class Figure:
    """One plot. name: as in `series.PLOTS`; unit: "s" for a time, else what follows the number."""

    name: str
    title: str
    detail: str
    unit: str = ""


FIGURES = (
    Figure("depth", "Depth", "waiting, sent or not yet sent, of each queue"),
    Figure("throughput", "Throughput", "jobs that ended a second, by outcome", "/s"),
    Figure("wait", "Wait", "until a worker began, p50, p95 and p99", "s"),
    Figure("run", "Run", "from then to the end, p50, p95 and p99", "s"),
    Figure("micro-batch", "Micro-batch", "vectors scored in one pass"),
)


@dataclass(frozen=True)
class Asked:
    range: Range
    scope: Scope
    figures = FIGURES

    def query(self, **changes: str) -> str:
        return "?" + urlencode({"range": self.range.name, "of": self.scope.value} | changes)

    @property
    def ranges(self) -> list[tuple[str, str, bool]]:
        """(words, address, is shown) of each."""
        return [(each.words, self.query(range=each.name), each == self.range) for each in RANGES.values()]

    @property
    def scopes(self) -> list[tuple[str, str, bool]]:
        """The same: all queues, each queue, and each model that had anything to do in this time."""
        of_models = _scopes_of_models(self.range) | ({self.scope} if self.scope.model else set())
        found = [Scope()]
        for queue in QUEUES:
            found += [Scope(queue), *sorted(scope for scope in of_models if scope.queue == queue)]
        return [(each.words, self.query(of=each.value), each == self.scope) for each in found]


def asked(given: Mapping[str, Any]) -> Asked:
    """A range that there is not is left out, and so is a queue."""
    queue, _, model = str(given.get("of", "")).partition(":")
    scope = Scope(queue, model[:120]) if queue in QUEUES else Scope()
    return Asked(RANGES.get(given.get("range", ""), RANGES[DEFAULT]), scope)


def _scopes_of_models(shown: Range) -> set[Scope]:
    """By samples of the range's own length, and for what has only begun by the shortest."""
    now = now_s()
    whole = Q(every_s=shown.every_s, at__gte=now - shown.lasts_s)
    begun = Q(every_s=EVERY_S, at__gte=now - 2 * shown.every_s)
    of_models = Sample.objects.filter(whole | begun).exclude(model="")
    return {Scope(*names) for names in of_models.order_by().values_list("queue", "model").distinct()}

"""Rounds that alternate, and what is said of them: medians, percentiles, ratios."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence

Round = Mapping[str, float]
Runs = dict[str, dict[str, list[float]]]
"""Side, then metric: one value a round, in the order in which they were run."""


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed. share: 0 to 1."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def latencies(took_s: Sequence[float]) -> dict[str, float]:
    return {"p50_ms": percentile(took_s, 0.5) * 1000, "p99_ms": percentile(took_s, 0.99) * 1000}


def alternate(rounds: int, sides: Mapping[str, Callable[[], Round]], say: Callable[[str], None]) -> Runs:
    """A B A B …, so that a machine that gets slower is slow for all of them."""
    runs: Runs = {side: {} for side in sides}
    for number in range(1, rounds + 1):
        for side, measure in sides.items():
            found = measure()
            for metric, value in found.items():
                runs[side].setdefault(metric, []).append(value)
            say(f"  {number}/{rounds} {side}: " + "  ".join(f"{metric} {value:.4g}" for metric, value in found.items()))
    return runs


def median(runs: Runs, side: str, metric: str) -> float:
    return statistics.median(runs[side][metric])


def times_more(runs: Runs, metric: str, ours: str = "ours", theirs: str = "plain") -> float:
    return median(runs, ours, metric) / median(runs, theirs, metric)


def times_less(runs: Runs, metric: str, ours: str = "ours", theirs: str = "plain") -> float:
    return median(runs, theirs, metric) / median(runs, ours, metric)

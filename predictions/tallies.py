"""What came of a chunk, and what a job's chunks come to together: its summary."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from predictions.errors import SHOWN, Place

HISTOGRAM_BINS = 20
LATELY_S = 5.0
LATELY_STEP_S = 0.5
WORKING = ("places", "cut_short", "lately")
"""What the summary holds for our own use. lately: [the database's time, rows done by then], for some seconds back."""


@dataclass
class Scored:
    """What came of one chunk. class_counts by label; histogram: rows by confidence in 20 bins from 0 to 1.

    cut_short: the soft time limit stopped it between two blocks, so that rows of it are missing.
    stopped_at, stopped_line: where in its part it was stopped, by whatever it was.
    """

    scored: int = 0
    rejected: int = 0
    result_bytes: int = 0
    rejected_bytes: int = 0
    spent_s: float = 0.0
    class_counts: Counter[str] = field(default_factory=Counter)
    histogram: list[int] = field(default_factory=lambda: [0] * HISTOGRAM_BINS)
    places: list[dict[str, Any]] = field(default_factory=list)
    cut_short: bool = False
    stopped_at: int | None = None
    stopped_line: int | None = None
    result_sha256: str = ""


def merged(summary: dict[str, Any], scored: Scored) -> dict[str, Any]:
    """A job's summary with one more chunk in it; the same whatever chunk comes first."""
    counts = Counter(summary.get("classes", {})) + scored.class_counts
    before = summary.get("confidence_histogram") or [0] * HISTOGRAM_BINS
    return {
        "rows": summary.get("rows", 0) + scored.scored,
        "rejected": summary.get("rejected", 0) + scored.rejected,
        "classes": dict(sorted(counts.items())),
        "confidence_histogram": [old + new for old, new in zip(before, scored.histogram, strict=True)],
        "places": _first(summary.get("places", []) + scored.places),
        "cut_short": summary.get("cut_short", False) or scored.cut_short,
    }


def _first(places: list[Place]) -> list[Place]:
    return sorted(places, key=lambda place: place.get("row", 0))[:SHOWN]


def lately(known: list[list[float]], at_s: float, done: int) -> list[list[float]]:
    """The newest always; of those before it one in half a second, back to one that is five seconds old."""
    kept = known[:-1] if len(known) > 1 and known[-1][0] - known[-2][0] < LATELY_STEP_S else known
    while len(kept) > 1 and kept[1][0] < at_s - LATELY_S:
        kept = kept[1:]
    return [*kept, [round(at_s, 3), done]]

"""How far a batch is, and what its rows came to so far: the numbers behind bars, strips and histograms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from predictions.models import Chunk, Job, State, utc_now
from predictions.tallies import HISTOGRAM_BINS

CELLS = 120
FORGOTTEN_S = 20.0
"""A job that has waited so long for its turn is told by all its time again."""
LEAST_FINISHED_FIRST = [Chunk.State.QUEUED, Chunk.State.RESERVED, Chunk.State.RUNNING, Chunk.State.DONE]


@dataclass(frozen=True)
class Progress:
    """rows_per_s: of the last seconds while it runs, of all its time once it has ended. None while nothing is known yet."""

    done: int
    total: int
    rows_per_s: float | None
    left_s: float | None

    @property
    def percent(self) -> int:
        return self.done * 100 // self.total if self.total else 0


@dataclass(frozen=True)
class Share:
    """One class of a batch: share of all scored rows, and of the largest class for the bar's length."""

    label: str
    count: int
    share: float
    of_largest: float


@dataclass(frozen=True)
class Bin:
    """One bar of the histogram, on a grid of one unit a bar and one unit of height."""

    x: int
    y: float
    height: float
    count: int
    low: int
    high: int


@dataclass(frozen=True)
class Cell:
    state: str
    title: str


def progress(job: Job) -> Progress:
    rows_per_s, left_s = _rows_per_s(job), None
    if rows_per_s and job.state == State.RUNNING and not job.revoke_requested:
        left_s = (job.total - job.done) / rows_per_s
    return Progress(job.done, job.total, rows_per_s, left_s)


def _rows_per_s(job: Job) -> float | None:
    if not job.started or not job.done:
        return None
    ends = job.finished or utc_now()
    begun_s, rows = job.started.timestamp(), job.done
    for at_s, done in (job.summary or {}).get("lately", [])[:1]:
        if job.state == State.RUNNING and done < job.done and ends.timestamp() - at_s < FORGOTTEN_S:
            begun_s, rows = at_s, job.done - done
    took_s = ends.timestamp() - begun_s
    return rows / took_s if took_s > 0 else None


def shares(summary: dict[str, Any], labels: Sequence[str]) -> list[Share]:
    """In the model's order, so that no bar changes its place while counts grow."""
    counts: dict[str, int] = summary.get("classes", {})
    order = [label for label in labels if label in counts] + [label for label in counts if label not in labels]
    total, largest = sum(counts.values()) or 1, max(counts.values(), default=1)
    return [Share(label, counts[label], counts[label] / total, counts[label] / largest) for label in order]


def histogram(summary: dict[str, Any]) -> list[Bin]:
    counts = summary.get("confidence_histogram") or []
    highest, width = max(counts, default=0) or 1, 100 // HISTOGRAM_BINS
    return [
        Bin(at, round(1 - count / highest, 4), round(count / highest, 4), count, at * width, (at + 1) * width)
        for at, count in enumerate(counts)
    ]


def sure_share(bins: Sequence[Bin]) -> float:
    """The share of rows whose confidence is 90 % or more."""
    total = sum(each.count for each in bins)
    return sum(each.count for each in bins if each.low >= 90) / total if total else 0.0


def chunk_counts(states: Sequence[str]) -> dict[str, int]:
    found = Counter(states)
    return {state: found[state] for state in reversed(LEAST_FINISHED_FIRST) if found[state]}


def cells(states: Sequence[str]) -> list[Cell]:
    """The strip: a cell a part, or for a long file a cell for several, shown as the least finished of them."""
    step = -(-len(states) // CELLS) or 1
    return [_cell(states[at : at + step], at + 1) for at in range(0, len(states), step)]


def _cell(states: Sequence[str], first: int) -> Cell:
    worst = min(states, key=lambda state: LEAST_FINISHED_FIRST.index(Chunk.State(state)))
    place = f"Part {first}" if len(states) == 1 else f"Parts {first} to {first + len(states) - 1}"
    return Cell(worst, f"{place}: {worst}")

"""The table: what is wanted, what was measured, and whether that is enough; with every run beside it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import Runs, median, times_less, times_more

Results = dict[str, Runs]


@dataclass(frozen=True)
class Target:
    """value: from the runs of `measure`. is_limit: the value must not exceed the target, else must reach it."""

    what: str
    measure: str
    value: Callable[[Runs], float]
    target: float
    stretch: float | None = None
    unit: str = "x"
    is_limit: bool = False

    def says(self, found: float) -> str:
        if self.stretch is not None and self._holds(found, self.stretch):
            return "pass, stretch too"
        return "pass" if self._holds(found, self.target) else "MISS"

    def _holds(self, found: float, bound: float) -> bool:
        return found <= bound if self.is_limit else found >= bound

    def bound(self, number: float | None) -> str:
        return "" if number is None else f"{'≤' if self.is_limit else '≥'} {number:g} {self.unit}"


def floors(runs: Runs) -> float:
    return median(runs, "ours", "p50_ms") / median(runs, "floor", "p50_ms")


TARGETS = (
    Target("completed/s, 32 clients submit and wait", "clients", lambda runs: times_more(runs, "per_s"), 8, 12),
    Target("p99 at 32 clients, lower", "clients", lambda runs: times_less(runs, "p99_ms"), 12, 20),
    Target("CPU per completed job, less", "clients", lambda runs: times_less(runs, "cpu_ms"), 10, 14),
    Target("submit/s, 32 clients", "submit", lambda runs: times_more(runs, "per_s"), 4, 8),
    Target("worker drain", "drain", lambda runs: times_more(runs, "per_s"), 9, 15),
    Target("idle p50, lower than polling at 5 ms", "idle", lambda runs: times_less(runs, "p50_ms"), 4.5),
    Target(
        "idle p50, lower than polling at 1 ms",
        "idle",
        lambda runs: times_less(runs, "p50_ms", theirs="plain at 1 ms"),
        3,
    ),
    Target("idle p50, of the floor", "idle", floors, 4, 3, is_limit=True),
    Target(
        "500 sockets, 200 changes/s: p99", "sockets", lambda runs: median(runs, "ours", "p99_ms"), 80, None, "ms", True
    ),
    Target(
        "500 sockets, 200 changes/s: CPU of the web",
        "sockets",
        lambda runs: median(runs, "ours", "web_percent"),
        25,
        None,
        "% of a core",
        True,
    ),
    Target(
        "idle p50 with a long history, of a short one's",
        "growth",
        lambda runs: times_more(runs, "p50_ms", "grown", "ours"),
        1.2,
        is_limit=True,
    ),
    Target(
        "completed/s, a model of 20 ms, of solo's", "slow", lambda runs: times_more(runs, "per_s", theirs="solo"), 20
    ),
)


def table(results: Results, targets: Sequence[Target] = TARGETS) -> str:
    rows = [("what", "target", "stretch", "measured", "")]
    for target in targets:
        if target.measure in results:
            found = target.value(results[target.measure])
            bounds = target.bound(target.target), target.bound(target.stretch)
            rows.append((target.what, *bounds, f"{found:.2f} {target.unit}", target.says(found)))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def details(results: Results) -> str:
    """Medians, and every run in the order in which it was made."""
    lines = []
    for measure, runs in results.items():
        lines.append(measure)
        for metric in dict.fromkeys(metric for side in runs.values() for metric in side):
            for side, metrics in runs.items():
                if metric in metrics:
                    each = ", ".join(f"{value:.4g}" for value in metrics[metric])
                    lines.append(f"  {metric:16} {side:16} {median(runs, side, metric):10.4g}   ({each})")
    return "\n".join(lines)


def write(results: Results, file: Path, conditions: dict[str, Any], targets: Sequence[Target] = TARGETS) -> None:
    verdicts = [
        {key: value for key, value in asdict(target).items() if key != "value"}
        | {"measured": round(found, 3), "verdict": target.says(found)}
        for target in targets
        if target.measure in results
        for found in [target.value(results[target.measure])]
    ]
    body = {"conditions": conditions, "targets": verdicts, "runs": results}
    file.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def conditions(database: str, pool: str) -> dict[str, Any]:
    return {
        "database": database,
        "pool": pool,
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
    }

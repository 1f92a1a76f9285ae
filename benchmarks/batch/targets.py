"""What issue 5 asks of batches."""

from __future__ import annotations

from benchmarks.figures import Runs, median, times_less, times_more
from benchmarks.report import Target


def of_program(side: str, metric: str) -> Target:
    words = {"whole_s": "upload and all", "rest_s": "from its acceptance"}
    bound, stretch = {"two": (0.55, 0.3), "two, pyarrow": (0.55, None)}.get(side, (1.05, None))
    what = f"a million rows, {side} worker{'s' if side.startswith('two') else ''}, {words[metric]}"
    return Target(what, "million", lambda runs: times_more(runs, metric, side, "program"), bound, stretch, "x", True)


def over_a_vector(runs: Runs) -> float:
    return median(runs, "rows", "p50_ms") - median(runs, "vector", "p50_ms")


def limit(what: str, measure: str, side: str, metric: str, most: float, unit: str) -> Target:
    return Target(what, measure, lambda runs: max(runs[side][metric]), most, None, unit, True)


TARGETS = (
    *(
        of_program(side, metric)
        for side in ("two", "two, pyarrow", "one", "one, pyarrow")
        for metric in ("rest_s", "whole_s")
    ),
    Target("100,000 rows, times faster than as JSON", "recipe", lambda runs: times_less(runs, "whole_s"), 40),
    Target("100 rows, over one vector", "few", over_a_vector, 15, None, "ms", True),
    Target("ingest, of one core", "million", lambda runs: median(runs, "two", "ingest_mb_per_s"), 200, None, "MB/s"),
    limit("bytes written, of the file", "million", "two", "written_ratio", 1.05, "x"),
    limit("Redis for a batch", "million", "two", "redis_mb", 0.2, "MB"),
    limit("web, growth", "million", "two", "web_growth_mb", 8, "MB"),
    limit("worker, growth", "million", "two", "worker_growth_mb", 50, "MB"),
    Target(
        "CPU of every second row bad, of clean",
        "bad",
        lambda runs: times_more(runs, "cpu_worker_s", "bad", "clean"),
        2.5,
        None,
        "x",
        True,
    ),
    Target(
        "the same by pyarrow alone",
        "bad",
        lambda runs: times_more(runs, "cpu_worker_s", "bad, pyarrow", "clean, pyarrow"),
        2.5,
        None,
        "x",
        True,
    ),
)

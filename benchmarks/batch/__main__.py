"""`make bench-batch`: files of up to a million rows through the product, the text-book program and the plain recipe.

ONLY=million,recipe,few,growth,bad. QUICK=1: a tenth of the rows. ROUNDS=3. BENCH_REPORT=file.json.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks import report
from benchmarks.batch import measures
from benchmarks.batch.measures import Scene
from benchmarks.batch.targets import TARGETS
from benchmarks.figures import Runs
from benchmarks.plain import plain
from benchmarks.processes import kept_logs
from benchmarks.product import POOL, product
from benchmarks.stage import say

MEASURES: dict[str, Callable[[Scene], Runs]] = {
    "few": measures.few,
    "million": measures.million,
    "growth": measures.growth,
    "bad": measures.bad_rows,
    "recipe": measures.recipe,
}


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended then, too
    begun, wanted = time.monotonic(), _wanted()
    conditions = report.conditions("sqlite", POOL)
    results: report.Results = {}
    with ExitStack() as stack:
        stack.enter_context(kept_logs())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dashboard-bench-batch-")))
        on = Scene(stack.enter_context(product()), stack.enter_context(plain()), folder)
        for name in wanted:
            say(f"{name} ({time.monotonic() - begun:.0f} s)")
            results[name] = MEASURES[name](on)
    conditions["took_s"] = round(time.monotonic() - begun)
    print(report.details(results), report.table(results, TARGETS), conditions, sep="\n\n")
    if file := os.environ.get("BENCH_REPORT"):
        report.write(results, Path(file), conditions, TARGETS)


def _wanted() -> list[str]:
    names = [name for name in os.environ.get("ONLY", "").split(",") if name] or list(MEASURES)
    if unknown := sorted(set(names) - set(MEASURES)):
        sys.exit(f"ONLY={','.join(unknown)} is not measured; choose from {', '.join(MEASURES)}.")
    return names


if __name__ == "__main__":
    main()

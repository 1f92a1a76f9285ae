"""`make bench`: ours and the plain recipe, measured in one run (docs/performance.md).

ONLY=submit,idle: these measures only; ONLY=safeties: what each safety costs. QUICK=1: shorter rounds. ROUNDS=3.
DATABASE=postgres: ours on PostgreSQL.
BENCH_REPORT=file.json: every figure, for a machine. POOL=solo: another of Celery's pools.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks import report
from benchmarks.figures import Runs
from benchmarks.measures import clients, drain, growth, idle, live, safeties, slow
from benchmarks.processes import kept_logs
from benchmarks.product import POOL
from benchmarks.stage import DATABASE, Stage, own_database, say, stage

MEASURES: dict[str, Callable[[Stage], Runs]] = {
    "growth": growth.growth,
    "idle": idle.idle,
    "submit": clients.submitting_clients,
    "drain": drain.drain,
    "clients": clients.waiting_clients,
    "sockets": live.live,
    "slow": slow.slow_model,
}
ON_REQUEST: dict[str, Callable[[Stage], Runs]] = {"safeties": safeties.safeties}


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended then, too
    begun, wanted = time.monotonic(), _wanted()
    conditions = report.conditions(DATABASE, POOL)
    results: report.Results = {}
    with ExitStack() as stack:
        stack.enter_context(kept_logs())
        on = stack.enter_context(stage(*own_database(stack)))
        for name in wanted:
            say(f"{name} ({time.monotonic() - begun:.0f} s)")
            results[name] = (MEASURES | ON_REQUEST)[name](on)
    conditions["took_s"] = round(time.monotonic() - begun)
    print(report.details(results), report.table(results), conditions, sep="\n\n")
    if file := os.environ.get("BENCH_REPORT"):
        report.write(results, Path(file), conditions)


def _wanted() -> list[str]:
    names = [name for name in os.environ.get("ONLY", "").split(",") if name] or list(MEASURES)
    if unknown := sorted(set(names) - set(MEASURES) - set(ON_REQUEST)):
        sys.exit(f"ONLY={','.join(unknown)} is not measured; choose from {', '.join(MEASURES | ON_REQUEST)}.")
    return names


if __name__ == "__main__":
    main()

"""One client on an idle system, with a million jobs in the history and with hardly any."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.figures import Runs, alternate
from benchmarks.history import fill
from benchmarks.measures.idle import REQUESTS
from benchmarks.product import env_of, manage, product, worker
from benchmarks.sides import Ours, one_by_one
from benchmarks.stage import IS_QUICK, ROUNDS, Stage, beside, say

JOBS = 100_000 if IS_QUICK else 1_000_000


def growth(on: Stage) -> Runs:
    with tempfile.TemporaryDirectory(prefix="dashboard-bench-history-") as folder, worker(on.served):
        one_by_one(on.served.port, on.ours.predict, 30)
        url = beside(on.served.database_url, Path(folder), "history")
        model_dir = on.served.folder / "models"
        manage(env_of(Path(folder), url, model_dir), "migrate", "--verbosity=0")
        fill(on.served.database_url, url, JOBS)
        say(f"  {JOBS:,} jobs are in the history")
        with product(url, model_dir, Path(folder)) as grown, worker(grown):
            long = Ours(grown)
            one_by_one(long.port, long.predict, 30)
            sides = {
                "ours": lambda: one_by_one(on.ours.port, on.ours.predict, REQUESTS),
                "grown": lambda: one_by_one(long.port, long.predict, REQUESTS),
            }
            return alternate(ROUNDS, sides, say)

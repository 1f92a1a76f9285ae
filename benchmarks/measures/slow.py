"""64 clients and a model of 20 ms a pass: the product's pool against Celery's solo."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.figures import Runs, alternate
from benchmarks.processes import ROOT, Spending
from benchmarks.product import worker
from benchmarks.sides import Ours, load, one_by_one
from benchmarks.stage import IS_QUICK, ROUNDS, Stage, say

CLIENTS = 64
SECONDS = 3.0 if IS_QUICK else 5.0
LABELS = ",".join(str(digit) for digit in range(10))


def slow_model(on: Stage) -> Runs:
    file = Path(on.served.folder, "slow.pt2")
    subprocess.run([sys.executable, "-m", "benchmarks.slow_model", str(file)], cwd=ROOT, check=True)
    on.served.manage("register_model", str(file), "--name=slow", "--width=64", f"--labels={LABELS}")
    return alternate(ROUNDS, {"ours": lambda: _under(on), "solo": lambda: _under(on, "--pool=solo")}, say)


def _under(on: Stage, *options: str) -> dict[str, float]:
    ours = Ours(on.served, model="slow")
    with worker(on.served, *options) as pid:
        alone = one_by_one(ours.port, ours.predict, 10)
        spending = Spending({**on.served.pids, "worker": pid})
        return {**load(ours.port, ours.predict, CLIENTS, SECONDS, spending), "alone_p50_ms": alone["p50_ms"]}

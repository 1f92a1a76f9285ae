"""The statements that each database says in its own way, on PostgreSQL: the rooms' own tests, in a run of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests import postgres
from tests.processes import ROOT

ROOMS = (
    *(f"predictions/test_{room}.py" for room in ("append_only", "bulk_revocation", "pausing", "row_locks")),
    *(f"workers_admin/test_{room}.py" for room in ("downsampling", "keeping", "purging", "samples")),
    *(f"workers_admin/test_{room}.py" for room in ("scaler_cards", "task_search")),
)


def test_the_rooms_work_on_postgresql(model_dir: Path) -> None:
    """Those of their tests that start no process: the suite as a whole runs there with TEST_DATABASE_URL."""
    command = [sys.executable, "-m", "pytest", *(f"tests/{room}" for room in ROOMS), "-m", "not long and not processes"]
    with postgres.cluster() as address:
        env = os.environ | {"TEST_DATABASE_URL": address, "TEST_MODEL_DIR": str(model_dir)}
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-2_000:]

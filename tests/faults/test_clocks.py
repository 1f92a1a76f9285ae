"""Clocks that are wrong, or that jump."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from predictions.models import Job
from tests import postgres
from tests.faults import clock_shift
from tests.faults.report import Report
from tests.faults.sightings import rescued_after_s, wait_for_claims, wait_for_event
from tests.faults.world import World, kill
from tests.processes import ROOT

pytestmark = pytest.mark.long
HOUR_S = 3600


def test_one_process_an_hour_off_harms_nobody(report: Report, tmp_path: Path) -> None:
    """In a run of its own: SQLite's clock is the process's own, so this takes a PostgreSQL."""
    lines = tmp_path / "lines"
    lines.touch()
    command = [sys.executable, "-m", "pytest", "tests/faults/clocks_on_postgresql.py", "-m", ""]
    with postgres.cluster() as address:
        env = {**os.environ, "TEST_DATABASE_URL": address, "FAULTS_REPORT": str(lines)}
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    report.adopt(lines)
    assert done.returncode == 0, done.stdout[-10_000:]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S])
def test_a_clock_that_jumps_under_all_processes_reaps_nobody_alive(
    world: World, report: Report, tmp_path: Path, jump_s: int
) -> None:
    """On SQLite the leases jump with it. The steward notices, and lets the living beat first."""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL's clock is its own")
    clock = clock_shift.Clock(tmp_path / "clock")
    world.redis()
    world.env |= clock.env
    world.web(), world.steward()
    slow = world.worker("realtime", forward_s=20)
    alive = world.ledger.submit_digit()
    assert alive is not None
    wait_for_claims(world, 1)
    clock.jump_to(jump_s)
    wait_for_event("accepted", world)
    dying = world.ledger.submit_digit()
    assert dying is not None
    wait_for_claims(world, 2)
    rescued_s = rescued_after_s(dying.id, kill(slow))
    world.worker("realtime", ready=False)  # whose clock is not the test's: it would look silent
    account = world.ledger.settle()
    report.add(f"the clock of all processes jumps by {jump_s / HOUR_S:+.0f} h", account, rescued_s)
    assert not account.faults and account.succeeded == 2
    assert (Job.objects.get(pk=alive.id).attempt, Job.objects.get(pk=alive.id).crashes) == (1, 0)
    assert rescued_s < 15  # the promise itself

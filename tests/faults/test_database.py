"""A database that takes no writes for a while: what kept the steward from it kept the living from it too."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest
from django.db.models import Sum

from predictions.models import Job
from tests.faults.ledger import percentile
from tests.faults.report import Report
from tests.faults.test_dead_workers import wait_for_claims
from tests.faults.world import Process, World, frozen, locked_database, repeating

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
IN_THE_MIDDLE_S = 24.0
LAG_S = 2.0
CLIENTS = 6


@pytest.mark.parametrize("locked_s", [10, 13])
def test_a_locked_database_reaps_nobody_alive(world: World, report: Report, locked_s: int) -> None:
    world.redis(), world.web(), world.steward()
    holders = hold_jobs(world)
    world.worker("realtime")
    with ExitStack() as stack:
        for _ in range(CLIENTS):
            stack.enter_context(repeating(world.ledger.submit_digit, every_s=0.5))
        lock_and_lag(holders, locked_s)
    account = world.ledger.settle()
    took_s = [entry.took_s for entry in world.ledger.entries]
    figures = {"submit_p50_s": percentile(took_s, 0.5), "submit_max_s": max(took_s), "reaped": reaped()}
    report.add(f"database locked for {locked_s} s", account, **figures, answered_503=world.ledger.refused[503])
    assert not account.faults and account.refused_writes == 0 and reaped() == 0
    assert Job.objects.count() == account.accepted


def hold_jobs(world: World) -> list[Process]:
    """Two workers in the middle of a job each."""
    holders = [world.worker("realtime", forward_s=IN_THE_MIDDLE_S, ready=False) for _ in range(2)]
    world.ledger.submit_digits(2)
    wait_for_claims(world, 2)
    return holders


def lock_and_lag(holders: list[Process], locked_s: float) -> None:
    """The workers come back to it later than the steward: it must not take the last to beat for dead."""
    with ExitStack() as lagging:
        with locked_database():
            time.sleep(locked_s - LAG_S / 2)
            for holder in holders:
                lagging.enter_context(frozen(holder))
            time.sleep(LAG_S / 2)
        time.sleep(LAG_S)


def reaped() -> int:
    return Job.objects.aggregate(all=Sum("crashes"))["all"] or 0

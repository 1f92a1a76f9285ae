"""One process an hour off, where the database has a clock of its own. test_clocks.py runs this on a PostgreSQL of its own."""

from __future__ import annotations

import time

import pytest
from django.db import connection

from predictions.models import Job
from tests.faults import clock_shift
from tests.faults.report import Report
from tests.faults.sightings import claims, rescued_after_s, wait_for_claims
from tests.faults.world import World, kill
from tests.processes import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
HOUR_S = 3600
LONGER_THAN_A_LEASE_S = 12.0


@pytest.mark.parametrize("offset_s", [HOUR_S, -HOUR_S])
@pytest.mark.parametrize("whose", ["a worker", "the steward"])
def test_nobody_alive_is_reaped_and_the_dead_are_rescued(
    world: World, report: Report, whose: str, offset_s: int
) -> None:
    assert connection.vendor == "postgresql"
    shifted = clock_shift.shifted_by(offset_s)
    world.redis(), world.web(), world.steward(**(shifted if whose == "the steward" else {}))
    slow = world.worker("realtime", forward_s=LONGER_THAN_A_LEASE_S, **(shifted if whose == "a worker" else {}))
    entry = world.ledger.submit_digit()
    assert entry is not None
    assert eventually(lambda: Job.objects.get(pk=entry.id).has_ended, 60)
    dying = world.ledger.submit_digit()
    assert dying is not None
    wait_for_claims(world, 2)
    rescued_s = rescued_after_s(dying.id, kill(slow))
    world.worker("realtime")
    account = world.ledger.settle()
    report.add(f"the clock of {whose} {offset_s / HOUR_S:+.0f} h", account, rescued_s)
    assert not account.faults and account.succeeded == 2
    assert (Job.objects.get(pk=entry.id).attempt, Job.objects.get(pk=entry.id).crashes) == (1, 0)
    assert rescued_s < 15  # the promise itself


def test_the_shift_reaches_the_processes(world: World) -> None:
    """Else the tests above would prove nothing."""
    world.redis(), world.web(), world.steward()
    world.worker("realtime", **clock_shift.shifted_by(HOUR_S))
    world.ledger.submit_digit()
    wait_for_claims(world, 1)
    assert abs(claims(world)[0].at - time.time() - HOUR_S) < 60

"""The harness is proven by switching protections off: each of these shows what a test of faults would have noticed."""

from __future__ import annotations

import pytest

from predictions.models import OPEN, Job
from tests.faults.test_database import hold_jobs, lock_and_lag, reaped
from tests.faults.test_redis import accept_while_redis_is_dead, lose_the_queue
from tests.faults.test_web import lose_a_publish
from tests.faults.world import World
from tests.processes import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
STAYS_FOR_S = 15.0


def test_without_patience_a_locked_database_reaps_the_living(world: World) -> None:
    world.redis(), world.web(), world.steward(without="patience")
    lock_and_lag(hold_jobs(world), 10)
    assert eventually(lambda: reaped() > 0)


def test_without_the_outbox_what_a_killed_web_had_committed_is_lost(world: World) -> None:
    world.redis(), world.steward(without="outbox")
    lose_a_publish(world)
    assert not eventually(lambda: not Job.objects.filter(state__in=OPEN).exists(), STAYS_FOR_S)
    assert world.ledger.account().faults == {"lost": 1, "unaccounted for": 1}


def test_without_mark_and_census_what_redis_forgot_is_lost(world: World) -> None:
    lose_the_queue(world, 20, without="mark,census")
    world.worker("realtime")
    assert world.ledger.settle(STAYS_FOR_S).faults == {"lost": 20, "unaccounted for": 20}


def test_without_the_outbox_what_was_accepted_while_redis_was_dead_is_lost(world: World) -> None:
    accept_while_redis_is_dead(world, 20, without="outbox")
    world.worker("realtime")
    assert world.ledger.settle(STAYS_FOR_S).faults == {"lost": 20, "unaccounted for": 20}

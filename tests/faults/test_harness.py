"""The harness is proven by switching protections off: each of these shows what a test of faults would have noticed."""

from __future__ import annotations

import pytest

from predictions.models import OPEN, Job
from tests.faults.sightings import wait_for_claims, wait_for_event
from tests.faults.test_claims import send_again
from tests.faults.test_database import hold_jobs, lock_and_lag, reaped
from tests.faults.test_poison import poison_a_micro_batch
from tests.faults.test_redis import accept_while_redis_is_dead, lose_the_queue
from tests.faults.test_web import lose_a_publish
from tests.faults.world import World, frozen, kill
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


def test_without_the_fence_a_frozen_worker_records_twice(world: World) -> None:
    world.redis(), world.web(), world.steward()
    sleeper = world.worker("realtime", forward_s=4, without="fence")
    world.ledger.submit_digit()
    wait_for_claims(world, 1)
    with frozen(sleeper):
        world.worker("realtime")
        wait_for_event("accepted", world)
    wait_for_event("accepted", world, 2)
    assert world.ledger.settle().faults == {"recorded twice": 1}


def test_without_the_claim_a_message_that_comes_three_times_records_more_than_once(world: World) -> None:
    world.redis(), world.web(), world.steward()
    entries = world.ledger.submit_digits(5)
    send_again(list(Job.objects.filter(pk__in=[entry.id for entry in entries])), 2)
    world.worker("realtime", without="claim", MICRO_BATCH="1")  # in one micro-batch the same job is one job
    wait_for_event("accepted", world, 15)
    assert world.ledger.settle().faults == {"recorded twice": 5}


def test_without_the_rescue_the_job_of_a_killed_worker_is_lost(world: World) -> None:
    world.redis(), world.web(), world.steward(without="rescue")
    victim = world.worker("realtime", forward_s=120)
    world.ledger.submit_digit()
    wait_for_claims(world, 1)
    kill(victim)
    world.worker("realtime")
    assert world.ledger.settle(STAYS_FOR_S).faults == {"lost": 1, "unaccounted for": 1}


def test_without_being_tried_alone_the_neighbours_of_a_poison_die_with_it_again(world: World) -> None:
    seen = poison_a_micro_batch(world, without="alone")
    assert seen.together.filter(crashes__gt=1).count() > 1

"""The steward dies, or there are two of it."""

from __future__ import annotations

import time

import pytest

from predictions import broker
from predictions.models import Event, Job
from tests.faults import backlog
from tests.faults.report import Report
from tests.faults.sightings import all_of, claimed_by, claimed_elsewhere, last_write_at, wait_for_claims
from tests.faults.world import World, kill, repeating
from tests.processes import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
IN_THE_MIDDLE_S = 120.0
A_FEW = 20


def test_a_steward_that_was_killed_takes_up_all_that_waits_for_it(world: World, report: Report) -> None:
    """A job to rescue, and messages that Redis has forgotten: nobody but the steward can tell."""
    world.redis(), world.web()
    steward, victim = world.steward(), world.worker("realtime", forward_s=IN_THE_MIDDLE_S)
    world.ledger.submit_digit()
    wait_for_claims(world, 1)
    kill(steward)
    kill(victim)
    backlog.queue_up(world, 100)
    broker.client().flushall()
    world.worker("realtime")
    time.sleep(5)
    assert not all_of("accepted", world)  # so the steward is needed
    restarted = time.time()
    world.steward()
    account = world.ledger.settle()
    recovered_s = last_write_at(world) - restarted
    report.add("steward killed, and started again", account, recovered_s, after_restart_s=recovered_s)
    assert not account.faults and account.succeeded == account.accepted == 101


def test_two_stewards_at_once_count_a_death_once_and_double_no_message(world: World, report: Report) -> None:
    world.redis(), world.web(), world.steward(), world.steward()
    victim = world.worker("realtime", forward_s=IN_THE_MIDDLE_S)
    held = world.ledger.submit_digit()
    assert held is not None
    wait_for_claims(world, 1)
    for _ in range(2):
        world.worker("realtime", ROW_S="0.03")
    with repeating(world.ledger.submit_digit, 0.02), repeating(world.ledger.submit_digit, 0.02):
        died = kill(victim)
        assert eventually(lambda: claimed_elsewhere(world, victim.pid), 40), world.log_of("steward")
        backlog.queue_up(world, 100)
        flushed = world.messages()
        broker.client().flushall()
        time.sleep(5)
    account = world.ledger.settle()
    again_s = claimed_elsewhere(world, victim.pid)[0].at - died
    doubled = len(all_of("nothing", world))
    figures = {"messages_flushed": flushed, "messages_for_nothing": doubled}
    report.add("two stewards, a worker killed and a FLUSHALL", account, again_s, **figures)
    assert not account.faults and account.succeeded == account.accepted
    assert Job.objects.get(pk=held.id).crashes == 1 and len(claimed_by(world, victim.pid)) == 1
    assert Event.objects.filter(job_id=held.id, text__contains="stopped answering").count() == 1
    assert doubled <= A_FEW and eventually(lambda: world.messages() == 0)

"""Redis lacks some of the messages it was given, and does not say so."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from predictions import broker
from predictions.models import Job
from tests.faults import backlog
from tests.faults.report import Report
from tests.faults.world import World, frozen, kill
from tests.processes import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


def a_worker_waits() -> bool:
    """Some client is blocked in BRPOP."""
    return any("b" in client["flags"] for client in broker.client().client_list())


@pytest.mark.parametrize("number", [1, 3])
def test_a_message_that_a_dying_worker_took_and_never_noted_is_sent_again(
    world: World, report: Report, number: int
) -> None:
    """Redis hands it to a worker that is stopped, and forgets it; with one it is the only message of a quiet queue."""
    world.redis(), world.web(), world.steward()
    victim = world.worker("realtime")
    assert eventually(a_worker_waits)
    with frozen(victim):
        world.ledger.submit_digits(number)
        assert eventually(lambda: Job.objects.exclude(published=None).count() == number)
        assert world.messages() == number - 1
        died = kill(victim)
    backlog.wait_until_published(world, number)
    found_s = time.time() - died
    world.worker("realtime")
    account = world.ledger.settle()
    report.add(f"1 of {number} messages lost between BRPOP and unacked", account, found_s)
    assert backlog.is_whole(account) and account.accepted == number


def test_the_tail_that_an_older_copy_of_redis_lacks_is_sent_again(world: World, report: Report, tmp_path: Path) -> None:
    """As after a power loss or a failover: our mark is still there, the newest messages are not."""
    kept, lost = 1_200, 800
    first = world.redis("--dir", str(tmp_path))
    world.web(), world.steward()
    backlog.wait_until_marked(world)
    backlog.queue_up(world, kept)
    broker.client().save()
    backlog.queue_up(world, lost)
    kill(first)
    world.redis("--dir", str(tmp_path))
    restarted = time.time()
    assert broker.is_marked()
    backlog.wait_until_published(world, kept + lost)
    found_s, messages = time.time() - restarted, world.messages()
    for _ in range(2):
        world.worker("realtime")
    backlog.wait_until_drained()
    account = world.ledger.settle()
    report.add(f"Redis back without the last {lost} of {kept + lost:,}", account, found_s, messages_after=messages)
    assert backlog.is_whole(account)
    assert messages == kept + lost

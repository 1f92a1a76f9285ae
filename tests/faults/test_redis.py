"""Redis loses all that it held."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import pytest

from predictions import broker
from predictions.models import Job
from tests.faults import backlog
from tests.faults.report import Report
from tests.faults.world import World, kill, repeating
from tests.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def lose_the_queue(world: World, number: int, without: str = "") -> float:
    """kill -9 of a Redis that keeps nothing on disk; returns when the next one answered."""
    first = world.redis()
    world.web(), world.steward(without)
    backlog.queue_up(world, number)
    kill(first)
    world.redis()
    return time.time()


@pytest.mark.parametrize("number", [200, pytest.param(1_000, marks=pytest.mark.long)])
def test_a_redis_that_was_killed_gets_its_whole_queue_again(world: World, report: Report, number: int) -> None:
    restarted = lose_the_queue(world, number)
    backlog.wait_until_published(world, number)
    published_s, messages = time.time() - restarted, world.messages()
    world.worker("realtime")
    backlog.wait_until_drained()
    account = world.ledger.settle()
    report.add(
        f"kill -9 of Redis with {number:,} queued",
        account,
        published_s,
        messages_after=messages,
        drain_s=backlog.drain_s(world),
    )
    assert backlog.is_whole(account)
    assert number <= messages <= number + 5


def accept_while_redis_is_dead(world: World, number: int, without: str = "") -> float:
    """Returns when Redis was back."""
    world.web(), world.steward(without)
    assert len(world.ledger.submit_digits(number)) == number
    world.redis()
    return time.time()


@pytest.mark.long
def test_what_was_accepted_while_redis_was_dead_runs_when_it_is_back(world: World, report: Report) -> None:
    back = accept_while_redis_is_dead(world, 100)
    backlog.wait_until_published(world, 100)
    published_s = time.time() - back
    world.worker("realtime")
    account = world.ledger.settle()
    slowest_ms = max(entry.took_s for entry in world.ledger.entries) * 1000
    report.add("Accepted while Redis was dead", account, published_s, slowest_submit_ms=slowest_ms)
    assert backlog.is_whole(account)


@pytest.mark.long
def test_a_redis_that_is_flushed_under_load_loses_nothing(world: World, report: Report) -> None:
    """Vectors go on coming, and the parts of a batch are under way."""
    world.redis(), world.web(), world.steward()
    for _ in range(2):
        world.worker("realtime,batch", forward_s=0.05)
    world.ledger.submit_file(60_000)
    struck, took_s = Counter[str](), list[float]()
    with repeating(world.ledger.submit_digit, 0.01), repeating(world.ledger.submit_digit, 0.01):
        for _ in range(6):
            time.sleep(2.5)
            struck += Counter({queue: depth.waiting for queue, depth in broker.depths().items()})
            broker.client().flushall()
            took_s.append(seconds_until(broker.is_marked))
    backlog.wait_until_drained()
    account = world.ledger.settle()
    report.add(f"FLUSHALL under load x{len(took_s)}", account, max(took_s), messages_lost=struck.total())
    assert backlog.is_whole(account) and struck["realtime"] and struck["batch"]


def seconds_until(holds: Callable[[], bool]) -> float:
    began = time.monotonic()
    assert eventually(holds)
    return time.monotonic() - began


@pytest.mark.long
@pytest.mark.parametrize("stewards", [1, 2])
def test_a_backlog_without_workers_does_not_multiply_its_messages(world: World, report: Report, stewards: int) -> None:
    first, number = world.redis(), 2_000
    world.web(), [world.steward() for _ in range(stewards)]
    backlog.wait_until_marked(world)
    with backlog.Watch(world) as watch:
        backlog.queue_up(world, number)
        time.sleep(30)
        kill(first)
        time.sleep(3)
        world.redis()
        time.sleep(30)
    left = world.messages()
    for _ in range(2):
        world.worker("realtime")
    backlog.wait_until_drained()
    account = world.ledger.settle()
    report.add(f"2,000 wait for a minute, {stewards} steward(s)", account, None, most_messages=watch.most, left=left)
    assert backlog.is_whole(account) and left == number
    assert watch.most <= number + 20


@pytest.mark.long
def test_the_urgent_ones_go_first_also_after_redis_forgot(world: World, report: Report) -> None:
    first = world.redis()
    world.web(), world.steward()
    backlog.queue_up(world, 100, priority=1)
    urgent = {entry.id for entry in backlog.queue_up(world, 10, priority=9)}
    kill(first)
    world.redis()
    restarted = time.time()
    backlog.wait_until_published(world, 110)
    published_s = time.time() - restarted
    world.worker("realtime")
    account = world.ledger.settle()
    report.add("kill -9 of Redis, 10 urgent among 100", account, published_s)
    assert backlog.is_whole(account)
    first_to_start = Job.objects.order_by("started").values_list("pk", flat=True)[
        :20
    ]  # the last turn takes others along
    assert urgent <= set(first_to_start)

"""A job that kills every worker that takes it: it ends, and holds nobody else up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import pytest
from django.db.models import QuerySet

from predictions.models import OPEN, Job, State
from tests.faults.ledger import Account, Entry
from tests.faults.report import Report
from tests.faults.sightings import claims, longest_wait_s
from tests.faults.world import Process, World, frozen
from tests.processes import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
POISON = 30


@contextmanager
def kept_running(number: int, start: Callable[[], Process]) -> Iterator[list[Process]]:
    """Workers under a supervisor; the list grows by one with each that had to be started again."""
    children, leave = [start() for _ in range(number)], threading.Event()

    def keep() -> None:
        posts = list(range(number))
        while not leave.wait(0.2):
            for at, child in enumerate(posts):
                if children[child].poll() is not None:
                    children.append(start())
                    posts[at] = len(children) - 1

    thread = threading.Thread(target=keep, name="supervisor")
    thread.start()
    try:
        yield children
    finally:
        leave.set()
        thread.join()


def nothing_is_open() -> bool:
    return not Job.objects.filter(state__in=OPEN).exists()


def stands_amid_its_neighbours(world: World, submit: Callable[[], Entry | None], within_s: float = 300) -> Job:
    """Others are submitted until it has failed. The digit POISON is the first row of what is submitted as that number."""
    ends, poison = time.monotonic() + within_s, None
    while time.monotonic() < ends:
        entry = submit()
        if entry and entry.digit == POISON:
            poison = entry.id
        if poison and Job.objects.filter(pk=poison).exclude(state__in=[State.QUEUED, State.RUNNING]).exists():
            return Job.objects.get(pk=poison)
        time.sleep(0.5)
    raise AssertionError(world.executions())


@dataclass
class Poisoned:
    """What became of eight vectors that were scored together, one of them poison."""

    account: Account
    together: QuerySet[Job]
    sent_at: float
    workers_died: int


def poison_a_micro_batch(world: World, without: str = "") -> Poisoned:
    world.redis(), world.web(), world.steward()
    start = partial(world.worker, "realtime", POISON=str(POISON), ready=False, without=without)
    with kept_running(1, start) as workers:
        assert world.ledger.submit_digit() and eventually(nothing_is_open, 60)
        with frozen(workers[0]):  # so that the worker learns what many together cost
            assert len(world.ledger.submit_digits(POISON - 5, clients=1)) == POISON - 5
        assert eventually(nothing_is_open, 60)
        with frozen(workers[0]) as at:  # so that they wait together
            sent = [entry.id for entry in world.ledger.submit_digits(8, clients=1)]
            assert eventually(lambda: not Job.objects.filter(state=State.QUEUED, published=None).exists())
        account = world.ledger.settle(120)
    return Poisoned(account, Job.objects.filter(pk__in=sent), at, len(workers) - 1)


def test_what_kills_a_micro_batch_fails_alone_and_its_neighbours_succeed_alone(world: World, report: Report) -> None:
    """It takes them along once; then each is scored by itself."""
    seen = poison_a_micro_batch(world)
    others = seen.together.filter(state=State.SUCCEEDED)
    report.add(
        "a poison vector in a micro-batch of 8",
        seen.account,
        min(entry.at for entry in claims(world) if entry.attempt == 2) - seen.sent_at,
        workers_died=seen.workers_died,
        longest_wait_of_neighbours_s=longest_wait_s({str(job.pk) for job in others}),
    )
    assert not seen.account.faults and (seen.account.failed, seen.workers_died) == (1, 3)
    assert seen.together.get(state=State.FAILED).error["message"].startswith("3 workers died on it; the last was ")
    assert [(job.crashes, job.attempt, job.micro_batch) for job in others] == [(1, 2, 1)] * 7


@pytest.mark.parametrize("queue", ["realtime", "batch"])
def test_what_kills_three_workers_fails_and_holds_nobody_up(world: World, report: Report, queue: str) -> None:
    world.redis(), world.web(), world.steward()
    submit = world.ledger.submit_digit if queue == "realtime" else lambda: world.ledger.submit_file(1)
    with kept_running(2, lambda: world.worker(queue, POISON=str(POISON), ready=False)) as workers:
        job = stands_amid_its_neighbours(world, submit)
        account = world.ledger.settle()
    assert job.finished
    neighbours = {str(entry.id) for entry in world.ledger.entries} - {str(job.pk)}
    report.add(
        f"a poison job in {queue}",
        account,
        (job.finished - job.created).total_seconds(),
        workers_died=len(workers) - 2,
        longest_wait_of_neighbours_s=longest_wait_s(neighbours),
    )
    assert not account.faults and account.failed == 1 and account.succeeded == account.accepted - 1
    on_what = "it" if queue == "realtime" else "lines 2 to 2"
    assert job.error["message"].startswith(f"3 workers died on {on_what}; the last was ")
    assert len(workers) == 2 + 3 and len([entry for entry in claims(world) if entry.job == str(job.pk)]) == 3

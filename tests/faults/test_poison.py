"""A job that kills every worker that takes it: it ends, and holds nobody else up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from predictions.models import Job, State
from tests.faults.ledger import Entry
from tests.faults.report import Report
from tests.faults.sightings import claims, longest_wait_s
from tests.faults.world import Process, World

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

"""The same fault on the plain recipe: the line of the table to compare ours with."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from celery import Celery

from tests import processes
from tests.faults.ledger import Account
from tests.faults.report import Report
from tests.faults.world import World, kill
from tests.processes import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
TASKS = 50
STAYS_FOR_S = 20.0


def ran(log: Path) -> set[str]:
    return set(log.read_text().split()) if log.exists() else set()


def test_the_plain_recipe_loses_what_redis_held(world: World, report: Report) -> None:
    """kill -9 of Redis with most of 50 tasks queued; it comes back, and the worker with it."""
    server = world.redis()
    client = Celery(broker=world.env["REDIS_URL"], backend=world.env["REDIS_URL"], set_as_current=False)
    for number in range(TASKS):
        client.send_task("plain.predict", [number], queue="celery", ignore_result=True)
    client.close()
    command = processes.worker_command("celery", "plain", app="tests.faults.plain_recipe")
    with processes.running("plain", command, world.env):
        assert eventually(lambda: len(ran(world.log)) >= 5, processes.START_S)
        kill(server)
        world.redis()
        time.sleep(STAYS_FOR_S)
        done = len(ran(world.log))
    world.log.unlink()
    account = Account(accepted=TASKS, succeeded=done, lost=TASKS - done, executions=done)
    report.add("the plain recipe: kill -9 of Redis", account)
    assert account.lost > TASKS / 2

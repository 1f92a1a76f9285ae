"""Real workers, ended and frozen by signals, as the console sees them."""

from __future__ import annotations

import os
import signal
from typing import Any

import psutil
import pytest
from celery.concurrency import get_implementation

from predictions import workers
from predictions.models import utc_now
from predictions.workers import Worker
from tests.conftest import StartWorker
from tests.processes import end, eventually
from tests.workers_admin.facts import process
from workers_admin import celery_worker, stopping


def state() -> str:
    """Of the one worker; empty where none is in sight."""
    return ", ".join(node.state for node in workers.nodes())


def becomes(wanted: str, within_s: float) -> bool:
    return eventually(lambda: state() == wanted, within_s)


def test_a_frozen_worker_is_silent_and_then_idle_again(a_worker: StartWorker) -> None:
    child = a_worker("realtime")
    os.kill(child.pid, signal.SIGSTOP)
    assert becomes("silent", 9)
    os.kill(child.pid, signal.SIGCONT)
    assert becomes("idle", 5)


@pytest.mark.long
def test_a_worker_that_was_killed_is_lost(a_worker: StartWorker) -> None:
    a_worker("realtime").kill()
    assert becomes("lost", 15)


def test_a_worker_that_is_asked_to_stop_ends_and_leaves_the_page(a_worker: StartWorker, staff: Any) -> None:
    child = a_worker("realtime")
    (node,) = workers.nodes()
    stopping.finish_and_stop(node.name, staff)
    assert state() == "stopping"
    assert child.wait(15) == 0 and state() == ""


def test_a_prefork_worker_reports_its_children_and_is_asked_to_stop_by_its_rows(
    a_worker: StartWorker, staff: Any
) -> None:
    child = a_worker("realtime", "--pool=prefork", "--autoscale=3,1")
    (node,) = workers.nodes()
    assert [one.pid for one in node.processes] == [one.pid for one in psutil.Process(child.pid).children()]
    stopping.finish_and_stop(node.name, staff)
    assert child.wait(20) == 0 and state() == ""


@pytest.mark.long
def test_a_prefork_worker_whose_parent_was_killed_is_lost_not_gone(a_worker: StartWorker) -> None:
    a_worker("realtime", "--pool=prefork", "--concurrency=1").kill()
    assert becomes("lost", 18)


@pytest.mark.long
def test_a_prefork_worker_that_is_told_to_end_by_a_signal_says_goodbye(a_worker: StartWorker) -> None:
    end(a_worker("realtime", "--pool=prefork", "--concurrency=2"))
    assert state() == ""


@pytest.mark.django_db
def test_a_process_that_was_lost_is_no_more_shown_once_another_of_its_name_began() -> None:
    process(pid=1, age_s=100)
    process(pid=2, started=utc_now())
    Worker.objects.filter(pid=2).update(ended=True)
    assert state() == ""


@pytest.mark.parametrize(
    ("pool", "name"),
    [("predictions.worker.pool:ModelPool", "custom"), ("solo", "solo"), ("prefork", "prefork")],
)
def test_a_pool_is_named_as_one_asks_for_it(pool: str, name: str) -> None:
    assert celery_worker.pool_name(get_implementation(pool)) == name

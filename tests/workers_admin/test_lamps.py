from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from predictions import workers
from predictions.clock import Clock
from predictions.model_cards import ModelCard
from tests.conftest import StartWorker
from tests.predictions.jobs import submit_endless
from tests.processes import end, eventually
from tests.workers_admin.facts import a_node
from workers_admin.lamps import lamps

BUSY = {"state": "busy", "job": "some job"}


def looks(**facts: Any) -> list[str]:
    return [lamp.look for lamp in lamps(a_node(**facts))]


def looks_now() -> list[str]:
    """Of the one worker."""
    return [lamp.look for node in workers.nodes() for lamp in lamps(node)]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("facts", "looks_like"),
    [
        ({}, ["ok", "ok", "off"]),
        ({"celery_at": None}, ["ok", "off", "off"]),
        ({**BUSY, "progress_at": Clock()}, ["ok", "ok", "ok"]),
        ({**BUSY, "progress_at": Clock() - 15.0}, ["ok", "ok", "waiting"]),
        ({**BUSY, "progress_at": Clock() - 90.0}, ["ok", "ok", "bad"]),
        ({"celery_at": Clock() - 9.0}, ["ok", "bad", "off"]),
        ({"age_s": 8.0}, ["waiting", "off", "off"]),
        ({"age_s": 20.0, **BUSY}, ["bad", "off", "off"]),
        ({**BUSY, "progress_at": Clock(), "celery_at": Clock() - 9.0, "pool": "solo"}, ["ok", "waiting", "ok"]),
    ],
)
def test_each_lamp_tells_its_own_story(facts: dict[str, Any], looks_like: list[str]) -> None:
    assert looks(**facts) == looks_like


@pytest.mark.django_db
def test_of_several_processes_the_one_that_stands_still_is_told() -> None:
    a_node(pid=1, **BUSY, progress_at=Clock() - 90.0)
    assert looks(pid=2, **BUSY, progress_at=Clock()) == ["ok", "ok", "bad"]


@pytest.mark.long
@pytest.mark.parametrize(("pool", "answers"), [("custom", "ok"), ("solo", "waiting"), ("prefork", "ok")])
def test_in_a_long_task_the_process_lives_the_work_stands_and_celery_answers_unless_the_pool_is_solo(
    a_worker: StartWorker, user: Any, digits: ModelCard, pool: str, answers: str
) -> None:
    child = a_worker("batch", f"--pool={pool}", "--concurrency=1")
    submit_endless(user, digits)
    assert eventually(lambda: looks_now() == ["ok", answers, "waiting"]), looks_now()
    end(child, signal.SIGKILL)


@pytest.mark.long
def test_without_redis_celery_does_not_answer_though_the_process_lives(
    redis_server: Any, a_worker: StartWorker, digits: ModelCard
) -> None:
    a_worker("batch")
    assert eventually(lambda: looks_now() == ["ok", "ok", "off"])
    redis_server.send_signal(signal.SIGSTOP)
    try:
        assert eventually(lambda: looks_now() == ["ok", "bad", "off"], 30), looks_now()
    finally:
        redis_server.send_signal(signal.SIGCONT)
    assert eventually(lambda: looks_now() == ["ok", "ok", "off"], 30), looks_now()


@pytest.mark.long
def test_when_the_parent_of_prefork_is_frozen_its_children_live_and_celery_does_not_answer(
    a_worker: StartWorker, digits: ModelCard
) -> None:
    child = a_worker("batch", "--pool=prefork", "--concurrency=1")
    assert eventually(lambda: looks_now() == ["ok", "ok", "off"])
    os.kill(child.pid, signal.SIGSTOP)
    assert eventually(lambda: looks_now() == ["ok", "bad", "off"], 12), looks_now()
    os.kill(child.pid, signal.SIGCONT)
    assert eventually(lambda: looks_now() == ["ok", "ok", "off"], 12), looks_now()

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from predictions.clock import Clock
from predictions.models import utc_now
from predictions.workers import Worker, live_workers, nodes, report

pytestmark = pytest.mark.django_db
BEFORE = timedelta(minutes=5)


def a_process(name: str = "realtime@here", pid: int = 1, age_s: float = 0.0, **facts: Any) -> None:
    report(
        name,
        pid,
        "here",
        {"queues": ["realtime"], "started": utc_now() - BEFORE, "state": "idle", "model_state": "ready", **facts},
    )
    Worker.objects.filter(name=name, pid=pid).update(beat_at=Clock() - age_s)


@pytest.mark.parametrize(("age_s", "state"), [(0.0, "idle"), (5.0, "idle"), (7.0, "silent"), (13.0, "lost")])
def test_a_worker_nobody_hears_of_is_silent_and_then_lost(age_s: float, state: str) -> None:
    a_process(age_s=age_s)
    assert [node.state for node in nodes()] == [state]


def test_a_worker_that_is_silent_does_not_live(user: Any) -> None:
    a_process("realtime@one", age_s=7.0)
    a_process("realtime@two")
    assert [node.name for node in live_workers("realtime")] == ["realtime@two"]


def test_the_processes_of_one_node_are_one_worker_and_busy_when_one_is() -> None:
    a_process(pid=1, processed=3)
    a_process(pid=2, processed=4, state="busy", job="a job")
    (node,) = nodes()
    assert (node.state, node.total("processed"), node.first.job) == ("busy", 7, "a job")


def test_a_worker_started_again_under_its_name_is_not_lost() -> None:
    a_process(pid=1, age_s=60.0)
    a_process(pid=2)
    (node,) = nodes()
    assert (node.state, [process.pid for process in node.processes]) == ("idle", [2])


def test_a_worker_that_said_goodbye_is_gone() -> None:
    a_process()
    Worker.objects.update(ended=True)
    assert nodes() == []


def test_a_worker_serves_the_queues_it_names() -> None:
    a_process()
    assert live_workers("batch") == []

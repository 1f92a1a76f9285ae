from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission

from predictions import workers
from predictions.clock import Clock
from predictions.models import utc_now
from predictions.workers import Worker
from tests.predictions.calling import Caller, detail
from workers_admin.api_schemas import QueuesOut, WorkersOut

pytestmark = pytest.mark.django_db(transaction=True)
BEGUN = utc_now() - timedelta(hours=1)
FACTS = {"queues": ["realtime"], "state": "busy", "model": "digits@1", "model_state": "ready", "started": BEGUN}


def report(pid: int = 7, **facts: Any) -> None:
    workers.report("realtime@here", pid, "here", FACTS | facts)


@pytest.mark.parametrize("path", ["/queues", "/workers"])
def test_they_are_not_for_everybody(user: Any, path: str) -> None:
    answer = Caller(user).get(path)
    assert answer.status_code == 403 and "predictions.see_console" in detail(answer)


def test_the_permission_to_see_the_console_is_enough(user: Any, clean_redis: None) -> None:
    user.user_permissions.add(Permission.objects.get(codename="see_console"))
    assert Caller(user).get("/queues").status_code == Caller(user).get("/workers").status_code == 200


def test_the_queues_are_shown_as_the_contract_says(staff: Any, clean_redis: None) -> None:
    queues = QueuesOut.model_validate(Caller(staff).get("/queues").json())
    assert [queue.name for queue in queues.items] == ["realtime", "batch", "default"]


def test_a_worker_is_shown_as_it_reports_itself(staff: Any) -> None:
    report(job="01", processed=4, memory_bytes=100)
    (worker,) = WorkersOut.model_validate(Caller(staff).get("/workers").json()).items
    assert (worker.name, worker.pid, worker.state, worker.processed, worker.job) == (
        "realtime@here",
        7,
        "busy",
        4,
        "01",
    )


def test_the_processes_of_one_name_are_one_worker(staff: Any) -> None:
    report(pid=7, processed=4, memory_bytes=100)
    report(pid=8, processed=2, memory_bytes=50)
    (worker,) = Caller(staff).get("/workers").json()["items"]
    assert (worker["processed"], worker["memory_bytes"]) == (6, 150)


def test_a_lost_worker_stays_in_sight_without_its_pid(staff: Any) -> None:
    report()
    Worker.objects.update(beat_at=Clock() - 20.0)
    (worker,) = Caller(staff).get("/workers").json()["items"]
    assert (worker["state"], worker["pid"]) == ("lost", None) and worker["heartbeat_age_s"] >= 20


def test_a_worker_that_said_goodbye_is_not_listed(staff: Any) -> None:
    report(ended=True)
    assert Caller(staff).get("/workers").json() == {"items": []}

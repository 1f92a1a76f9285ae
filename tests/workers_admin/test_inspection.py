from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from predictions import revocation, workers
from predictions.audit import Audit
from predictions.errors import NotFound, WrongState
from predictions.model_cards import ModelCard
from tests.conftest import StartWorker
from tests.predictions.jobs import submit_endless
from tests.processes import end, eventually
from tests.workers_admin.test_serving import the_one
from workers_admin import inspection
from workers_admin.inspection import Asker
from workers_admin.pinging import ping
from workers_admin.said import said_of


@pytest.fixture
def asker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asker]:
    """It ends with the test."""
    monkeypatch.setattr(inspection, "EVERY_S", 0.2)
    monkeypatch.setattr(inspection, "AFTER_TROUBLE_S", 0.2)
    monkeypatch.setattr(inspection, "LOOKED_AT_FOR_S", 0.5)
    asker = Asker()
    yield asker
    assert eventually(lambda: asker._thread is None)


def test_celery_says_what_is_active_and_a_frozen_worker_costs_only_age(
    a_worker: StartWorker, user: Any, digits: ModelCard, asker: Asker
) -> None:
    child = a_worker("batch")
    job = submit_endless(user, digits)
    assert eventually(lambda: the_one() in asker.look())
    name = the_one()
    assert eventually(lambda: asker.look()[name].said.get("active"))
    active, reserved, scheduled, revoked, registered = said_of(asker.look()[name].said)
    assert active.items and [item.job_id for item in active.items] == [str(job.pk)]
    assert (reserved.items, scheduled.items, revoked.items) == ([], [], [])
    assert registered.items and "predictions.score_chunk" in [item.words.split()[0] for item in registered.items]
    os.kill(child.pid, signal.SIGSTOP)
    assert eventually(lambda: asker.look()[name].age_s > 1.0)
    begun = time.monotonic()
    asker.look()
    assert time.monotonic() - begun < 0.1
    revocation.revoke(job, user)
    end(child, signal.SIGKILL)


@pytest.mark.long
def test_a_frozen_redis_keeps_nobody_who_looks_waiting(
    redis_server: Any, a_worker: StartWorker, digits: ModelCard, asker: Asker, staff: Any
) -> None:
    a_worker("batch")
    name = the_one()
    assert eventually(lambda: name in asker.look())
    redis_server.send_signal(signal.SIGSTOP)
    try:
        assert eventually(lambda: asker.look()[name].age_s > 1.0)
        assert ping(name, staff) == "Redis does not answer, so nobody could be asked."
    finally:
        redis_server.send_signal(signal.SIGCONT)
    assert eventually(lambda: asker.look()[name].age_s < 1.0)


@pytest.mark.long
def test_a_ping_says_who_answered_in_how_many_milliseconds_and_who_did_not(
    a_worker: StartWorker, staff: Any, digits: ModelCard
) -> None:
    one, other = a_worker("realtime"), a_worker("batch")
    frozen, answering = (node.name for node in workers.nodes())
    os.kill(other.pid, signal.SIGSTOP)
    said = ping("", staff)
    assert f"{answering} answered in " in said and f"{frozen} did not answer within 1 s" in said
    assert Audit.objects.get().outcome == said.removesuffix(".")
    assert one.poll() is None


@pytest.mark.django_db
def test_a_worker_that_is_not_known_cannot_be_pinged_nor_can_nobody(staff: Any) -> None:
    with pytest.raises(NotFound, match="There is no worker called 'nobody'"):
        ping("nobody", staff)
    with pytest.raises(WrongState, match="No worker lives"):
        ping("", staff)


def test_what_celery_says_of_tasks_is_told_by_job() -> None:
    chunk = {"id": "019-part", "name": "predictions.score_chunk", "args": ["0198a1b2-0000-7000-8000-000000000001", 7]}
    vector = {"id": "0198a1b2-0000-7000-8000-000000000002", "name": "predictions.predict", "args": [[0.5], "digits@1"]}
    active, reserved, *_ = said_of({"active": [chunk, vector], "reserved": {"error": "no"}})
    assert active.items and [(item.words, item.job_id[-1]) for item in active.items] == [
        ("score_chunk", "1"),
        ("predict", "2"),
    ]
    assert reserved.items is None


def test_a_long_list_is_shown_in_part() -> None:
    *_, revoked, _ = said_of({"revoked": [str(number) for number in range(12)]})
    assert (len(revoked.shown), revoked.more) == (10, 2)

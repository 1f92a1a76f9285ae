from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from predictions import broker, leases, pausing
from predictions.audit import Audit
from predictions.errors import WrongState
from predictions.model_cards import ModelCard
from predictions.models import Job, State
from tests.conftest import StartWorker
from tests.predictions.jobs import claimed, now, submit_digit, submit_rows
from tests.processes import eventually
from workers_admin import priorities
from workers_admin.depths import QueueDepth, depths

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clean_redis")]


def depth_of(queue: str) -> QueueDepth:
    return next(depth for depth in depths() if depth.name == queue)


def bands(queue: str = "realtime") -> dict[int, int]:
    return broker.depths()[queue].waiting_by_priority


def published(job: Job) -> Job:
    assert eventually(lambda: now(job).publish_at is None and depth_of(job.queue).unpublished == 0)
    return job


@pytest.mark.parametrize(("before", "after"), [(1, 9), (9, 1)])
def test_a_queued_job_and_its_message_get_the_new_priority(
    user: Any, staff: Any, digits: ModelCard, before: int, after: int
) -> None:
    job = published(submit_digit(user, digits, priority=before))
    priorities.change(job, after, staff)
    assert eventually(lambda: bands() == {after: 1}) and now(job).priority == after
    published(job)
    assert (depth_of("realtime").stale, depth_of("realtime").missing) == (0, 0)


def test_the_parts_of_a_batch_that_waits_go_along(user: Any, staff: Any, digits: ModelCard) -> None:
    job = published(submit_rows(user, digits, rows=4, parts=2, priority=1))
    priorities.change(job, 8, staff)
    assert eventually(lambda: bands("batch") == {8: 1})


def test_neighbours_stay_where_they_are(user: Any, staff: Any, digits: ModelCard) -> None:
    jobs = [published(submit_digit(user, digits, priority=5)) for _ in range(3)]
    priorities.change(jobs[1], 6, staff)
    assert eventually(lambda: bands() == {6: 1, 5: 2})
    assert broker.waiting_ids("realtime") == [str(jobs[at].pk) for at in (1, 0, 2)]


def test_it_is_written_down_with_what_was_and_is(user: Any, staff: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits, priority=5)
    priorities.change(job, 9, staff, "192.0.2.7")
    entry = Audit.objects.get()
    assert (entry.action, entry.subject, entry.outcome) == ("change priority", f"job {job.pk}", "5 → 9")
    assert (entry.before, entry.after, entry.address) == ({"priority": 5}, {"priority": 9}, "192.0.2.7")


def test_what_has_begun_or_has_it_already_is_refused(user: Any, staff: Any, digits: ModelCard) -> None:
    runs, waits = claimed(submit_digit(user, digits, priority=5)).job, submit_digit(user, digits, priority=5)
    with pytest.raises(WrongState, match="is running; only a queued job's priority can be changed"):
        priorities.change(runs, 9, staff)
    with pytest.raises(WrongState, match="has priority 5 already"):
        priorities.change(waits, 5, staff)
    assert not Audit.objects.exists()


def test_of_a_change_and_a_claim_both_see_the_same_job(user: Any, staff: Any, digits: ModelCard) -> None:
    jobs = [submit_digit(user, digits, priority=5) for _ in range(20)]
    refused: list[Job] = []

    def change_all() -> None:
        for job in jobs:
            try:
                priorities.change(job, 9, staff)
            except WrongState:
                refused.append(job)
        connection.close()

    thread = threading.Thread(target=change_all)
    thread.start()
    claims = [leases.claim_job(job.pk, "realtime@test") for job in jobs]
    thread.join()
    assert all(claims)
    assert {now(job).priority for job in refused} <= {5}
    assert {now(job).priority for job in jobs if job not in refused} <= {9}


def test_a_job_that_was_raised_in_a_pause_goes_first_and_once(
    a_worker: StartWorker, steward: Any, user: Any, staff: Any, digits: ModelCard
) -> None:
    pausing.pause("realtime", staff)
    a_worker("realtime", env={"MICRO_BATCH": "1"})
    jobs = [submit_digit(user, digits, priority=2) for _ in range(6)]
    priorities.change(jobs[-1], 9, staff)
    pausing.resume("realtime", staff)
    assert eventually(lambda: all(now(job).state == State.SUCCEEDED for job in jobs))
    assert {now(job).attempt for job in jobs} == {1}
    assert min(jobs, key=lambda job: now(job).started or now(job).created) == jobs[-1]

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection
from django_celery_results.models import TaskResult

from predictions import broker, exports, going_on, leases, turns
from predictions.audit import Audit
from predictions.errors import InvalidInput, NotFound
from predictions.model_cards import ModelCard
from predictions.models import Event, Export, Job, State
from predictions.tallies import Scored
from tests.conftest import StartWorker
from tests.predictions.jobs import claimed, claimed_chunk, now, submit_digit, submit_rows
from tests.processes import eventually
from workers_admin import purging

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clean_redis")]


def published(queue: str, number: int) -> bool:
    return eventually(lambda: broker.depths()[queue].waiting == number)


def test_what_waits_is_revoked_with_its_outcome_and_nothing_is_lost(user: Any, staff: Any, digits: ModelCard) -> None:
    jobs = [submit_digit(user, digits, priority=priority) for priority in (9, 5, 5, 0)]
    assert published("realtime", 4)
    assert purging.purge("realtime", "realtime", staff) == "realtime: 4 revoked. 4 messages left Redis."
    assert {now(job).state for job in jobs} == {State.REVOKED}
    assert {row.task_id for row in TaskResult.objects.filter(status="REVOKED")} == {str(job.pk) for job in jobs}
    assert Event.objects.filter(job=jobs[0]).get().text == "realtime was purged by olga"
    assert broker.depths()["realtime"].waiting == 0


def test_what_runs_is_left_alone(user: Any, staff: Any, digits: ModelCard) -> None:
    runs, waits = claimed(submit_digit(user, digits)).job, submit_digit(user, digits)
    assert purging.purge("realtime", "realtime", staff).startswith("realtime: 1 revoked, 1 that runs was left alone.")
    assert (now(runs).state, now(waits).state) == (State.RUNNING, State.REVOKED)


def test_the_messages_of_a_batch_that_runs_stay(user: Any, staff: Any, digits: ModelCard) -> None:
    runs, waits = submit_rows(user, digits, rows=4, parts=2), submit_rows(user, digits, rows=2)
    assert published("batch", 2)
    claimed_chunk(runs)
    words = purging.purge("batch", "batch", staff)
    assert words == "batch: 1 revoked, 1 that runs was left alone. 1 message left Redis."
    assert now(waits).state == State.REVOKED and broker.depths()["batch"].waiting == 1


def test_other_queues_keep_what_they_have(user: Any, staff: Any, digits: ModelCard) -> None:
    digit, rows = submit_digit(user, digits), submit_rows(user, digits, rows=2)
    purging.purge("batch", "batch", staff)
    assert (now(digit).state, now(rows).state) == (State.QUEUED, State.REVOKED)


def test_files_that_wait_are_given_up_and_can_be_asked_for_again(user: Any, staff: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=2)
    turns.finish_chunk(claimed_chunk(job), Scored(scored=2))
    exports.ask(now(job))
    assert published("default", 1)
    assert purging.purge("default", "default", staff) == "default: 1 given up. 1 message left Redis."
    assert Export.objects.get(job=job).error_text == "Its queue was purged before the file was made."
    assert exports.ask(now(job)).state == Export.State.QUEUED


def test_many_end_a_bounded_number_in_a_transaction(
    user: Any, staff: Any, digits: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "AT_ONCE", 2)
    jobs = [submit_digit(user, digits) for _ in range(5)]
    purging.purge("realtime", "realtime", staff, "192.0.2.7")
    assert {now(job).state for job in jobs} == {State.REVOKED}
    ended, begun = Audit.objects.order_by("-pk")
    assert (begun.outcome, begun.before) == ("begun: 5 wait, 2 in a transaction", {"waiting": 5})
    assert (ended.outcome, ended.after, ended.address) == ("5 revoked", {"ended": 5, "running": 0}, "192.0.2.7")


def test_what_takes_longer_than_a_moment_goes_on_after_the_answer(
    user: Any, staff: Any, digits: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "AT_ONCE", 2)
    monkeypatch.setattr(going_on, "MOMENT_S", 0.0)
    jobs = [submit_digit(user, digits) for _ in range(5)]
    words = "realtime: 2 revoked so far, of 5. The rest follows, also when this page is closed; the audit tells what came of it."
    assert purging.purge("realtime", "realtime", staff) == words
    assert eventually(lambda: Audit.objects.filter(outcome="5 revoked").exists())
    assert {now(job).state for job in jobs} == {State.REVOKED}
    assert eventually(lambda: broker.depths()["realtime"].waiting == 0)


def test_a_wrong_name_changes_nothing(user: Any, staff: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    with pytest.raises(InvalidInput, match="'real' was typed; 'realtime' purges it. Nothing was changed."):
        purging.purge("realtime", "real", staff)
    with pytest.raises(NotFound):
        purging.purge("fast", "fast", staff)
    assert now(job).state == State.QUEUED and not Audit.objects.exists()


def test_while_workers_run_each_job_either_ran_or_was_revoked(
    a_worker: StartWorker, user: Any, staff: Any, digits: ModelCard
) -> None:
    a_worker("realtime", env={"MICRO_BATCH": "2"})
    for number in range(120):
        submit_digit(user, digits, digit=number % 10)
    purging.purge("realtime", "realtime", staff)
    assert eventually(lambda: not Job.objects.filter(state__in=[State.QUEUED, State.RUNNING]).exists())
    counted = {state: Job.objects.filter(state=state).count() for state in (State.SUCCEEDED, State.REVOKED)}
    assert sum(counted.values()) == TaskResult.objects.count() == 120 and counted[State.REVOKED]
    assert not Job.objects.filter(state=State.REVOKED).exclude(started=None).exists()


def test_of_a_purge_and_a_claim_one_has_the_job(
    user: Any, staff: Any, digits: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "AT_ONCE", 2)
    jobs = [submit_digit(user, digits) for _ in range(20)]
    claims: list[Any] = []

    def claim_all() -> None:
        for job in jobs:
            claims.extend(leases.claim_jobs([job.pk], "realtime@test"))
        connection.close()

    thread = threading.Thread(target=claim_all)
    thread.start()
    assert eventually(lambda: len(claims) > 2)
    purging.purge("realtime", "realtime", staff)
    thread.join()
    states = [now(job).state for job in jobs]
    assert states.count(State.RUNNING) == len(claims) and states.count(State.REVOKED) == 20 - len(claims)

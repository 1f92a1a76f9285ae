"""Celery's own revoke: it means the same as anybody's, and never writes over an outcome (facts 7, 56)."""

from __future__ import annotations

from typing import Any

import pytest
from celery import chord, current_app, group
from django_celery_results.models import TaskResult

from predictions import broker, dispatch, outcomes
from predictions.audit import Audit
from predictions.model_cards import ModelCard
from predictions.models import Chunk, Job, State
from tests.conftest import StartWorker
from tests.predictions.jobs import SUCCESS, claimed, lapse, now, submit_digit, submit_endless, submit_rows
from tests.processes import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clean_redis")]
BY_CELERY = "Celery's control.revoke"


def control_revoke(job: Job, **how: Any) -> None:
    current_app.AsyncResult(str(job.pk)).revoke(**how)


def has_ended(job: Job) -> bool:
    return now(job).has_ended


def test_celery_writes_no_state_of_its_own(user: Any, digits: ModelCard) -> None:
    claim = claimed(submit_digit(user, digits))
    outcomes.finish(claim.job.pk, claim.attempt, SUCCESS)
    task_id = str(claim.job.pk)
    current_app.backend.mark_as_started(task_id)
    current_app.backend.mark_as_failure(task_id, ValueError("lost"))
    current_app.backend.mark_as_revoked(task_id)
    current_app.backend.cleanup()
    assert TaskResult.objects.get().status == "SUCCESS"


def test_a_plain_client_can_throw_no_outcome_away(user: Any, digits: ModelCard) -> None:
    claim = claimed(submit_digit(user, digits))
    outcomes.finish(claim.job.pk, claim.attempt, SUCCESS)
    with pytest.raises(NotImplementedError, match="removed with its job"):
        current_app.AsyncResult(str(claim.job.pk)).forget()
    assert TaskResult.objects.exists()


@pytest.mark.usefixtures("db")
def test_a_chord_and_a_saved_group_are_refused_in_so_many_words_before_anything_is_sent() -> None:
    some = [current_app.signature(dispatch.PREDICT, args=([0.0], "digits@1")) for _ in range(2)]
    with pytest.raises(NotImplementedError, match="Submit the jobs one by one"):
        chord(some)(current_app.signature(dispatch.PREDICT))
    with pytest.raises(NotImplementedError, match="Submit the jobs one by one"):
        group(some).freeze().save()
    assert broker.depths()["default"].waiting == broker.depths()["realtime"].waiting == 0


def test_a_worker_that_hears_it_keeps_the_outcome_of_an_ended_job_and_revokes_a_queued_one(
    a_worker: StartWorker, user: Any, digits: ModelCard
) -> None:
    a_worker("realtime")
    ended, queued = submit_digit(user, digits), submit_rows(user, digits, rows=4)
    assert eventually(lambda: has_ended(ended))
    for job in (ended, queued):
        assert current_app.control.revoke(str(job.pk), reply=True, timeout=10, limit=1)
    assert [now(job).state for job in (ended, queued)] == [State.SUCCEEDED, State.REVOKED]
    statuses = TaskResult.objects.order_by("task_id").values_list("status", flat=True)
    assert list(statuses) == ["SUCCESS", "REVOKED"]
    assert current_app.AsyncResult(str(queued.pk)).state == "REVOKED"
    assert [(audit.who, audit.who_name) for audit in Audit.objects.all()] == [(None, BY_CELERY)]


@pytest.mark.long
@pytest.mark.usefixtures("steward")
def test_messages_that_celery_throws_away_revoke_their_jobs_and_are_not_sent_again(
    a_worker: StartWorker, user: Any, digits: ModelCard
) -> None:
    a_worker("batch", "--pool=prefork", "--concurrency=1")
    running = submit_endless(user, digits)
    assert eventually(lambda: Chunk.objects.get(job=running).state == Chunk.State.RUNNING)
    queued = submit_rows(user, digits, rows=4)
    assert eventually(lambda: broker.depths()["batch"].waiting + broker.depths()["batch"].unacked == 2)
    message_of = {job_id: task_id for task_id, job_id in broker.delivered("batch")}
    message_that_waits = dispatch.task_id_of(Chunk.objects.get(job=queued))
    assert current_app.control.revoke(message_that_waits, reply=True, timeout=10, limit=1)
    assert not has_ended(queued)
    current_app.control.revoke(message_of[str(running.pk)], terminate=True)
    assert eventually(lambda: now(running).revoke_requested)
    lapse(running)  # nobody beats for it any more
    assert eventually(lambda: has_ended(running) and has_ended(queued), 30)
    assert [now(job).state for job in (running, queued)] == [State.REVOKED] * 2
    assert list(TaskResult.objects.values_list("status", flat=True)) == ["REVOKED"] * 2
    assert eventually(lambda: broker.depths()["batch"].waiting + broker.depths()["batch"].unacked == 0)
    assert Chunk.objects.get(job=queued).attempt == 0

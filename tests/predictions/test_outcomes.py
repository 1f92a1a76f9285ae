from __future__ import annotations

import json
from typing import Any

import pytest
from celery import current_app
from django_celery_results.models import TaskResult

from predictions import outcomes, recovery, revocation
from predictions.model_cards import ModelCard
from predictions.models import Job, State
from predictions.outcomes import Ending
from tests.predictions.jobs import PREDICTION, SUCCESS, claimed, lapse, now, submit_digit

pytestmark = pytest.mark.django_db
FAILURE = Ending(State.FAILED, error={"code": "worker_error", "message": "It broke."}, traceback="Traceback …")


def test_a_finished_job_has_exactly_one_task_result_with_its_id(user: Any, digits: ModelCard) -> None:
    claim = claimed(submit_digit(user, digits))
    assert outcomes.finish(claim.job.pk, claim.attempt, SUCCESS) == State.SUCCEEDED
    row = TaskResult.objects.get(task_id=str(claim.job.pk))
    assert (row.status, json.loads(row.result), row.worker) == ("SUCCESS", PREDICTION, "realtime@test")


def test_a_plain_celery_client_reads_the_outcome(user: Any, digits: ModelCard) -> None:
    claim = claimed(submit_digit(user, digits))
    outcomes.finish(claim.job.pk, claim.attempt, SUCCESS)
    assert current_app.AsyncResult(str(claim.job.pk)).get(timeout=1) == PREDICTION


def test_a_plain_celery_client_gets_the_failure_raised(user: Any, digits: ModelCard) -> None:
    claim = claimed(submit_digit(user, digits))
    outcomes.finish(claim.job.pk, claim.attempt, FAILURE)
    with pytest.raises(Exception, match="It broke"):
        current_app.AsyncResult(str(claim.job.pk)).get(timeout=1)


def test_an_attempt_that_was_fenced_off_writes_nothing(user: Any, digits: ModelCard) -> None:
    late = claimed(submit_digit(user, digits))
    lapse(late.job)
    recovery.reap()
    second = claimed(late.job)
    assert outcomes.finish(late.job.pk, late.attempt, SUCCESS) is None
    assert now(late.job).state == State.RUNNING and second.attempt == 2
    assert not TaskResult.objects.exists()


def test_an_outcome_is_written_once(user: Any, digits: ModelCard) -> None:
    claim = claimed(submit_digit(user, digits))
    outcomes.finish(claim.job.pk, claim.attempt, SUCCESS)
    assert outcomes.finish(claim.job.pk, claim.attempt, FAILURE) is None
    assert TaskResult.objects.get().status == "SUCCESS"


def test_a_job_whose_revocation_was_asked_ends_revoked_and_keeps_no_prediction(user: Any, digits: ModelCard) -> None:
    claim = claimed(submit_digit(user, digits))
    revocation.revoke(claim.job, user)
    assert outcomes.finish(claim.job.pk, claim.attempt, SUCCESS) == State.REVOKED
    assert outcomes.results_of([claim.job.pk]) == {} and TaskResult.objects.get().status == "REVOKED"


def test_with_store_false_the_row_stays_without_a_result(user: Any, digits: ModelCard) -> None:
    claim = claimed(submit_digit(user, digits, store=False))
    outcomes.finish(claim.job.pk, claim.attempt, SUCCESS)
    assert json.loads(TaskResult.objects.get().result) is None


def test_a_row_that_control_revoke_left_behind_is_overwritten_by_the_outcome(user: Any, digits: ModelCard) -> None:
    claim = claimed(submit_digit(user, digits))
    TaskResult.objects.create(task_id=str(claim.job.pk), status="REVOKED")
    outcomes.finish(claim.job.pk, claim.attempt, SUCCESS)
    assert TaskResult.objects.get().status == "SUCCESS"


def test_a_failure_keeps_its_sentence_on_the_job_and_its_traceback_in_the_row(user: Any, digits: ModelCard) -> None:
    claim = claimed(submit_digit(user, digits))
    outcomes.finish(claim.job.pk, claim.attempt, FAILURE)
    job = Job.objects.get()
    assert (job.error_text, outcomes.traceback_of(job.pk)) == ("It broke.", "Traceback …")


def test_a_failure_that_the_rescue_recorded_is_not_the_attempts_own(user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    for _ in range(recovery.MOST_CRASHES):
        late = claimed(job)
        lapse(job)
        recovery.reap()
    assert outcomes.finish(job.pk, late.attempt, FAILURE) is None
    assert outcomes.finish(job.pk, late.attempt, SUCCESS) is None
    assert now(job).error_text.startswith("3 workers died")


def test_a_late_finish_of_a_job_that_is_gone_is_refused(user: Any, digits: ModelCard) -> None:
    claim = claimed(submit_digit(user, digits))
    Job.objects.all().delete()
    assert outcomes.finish(claim.job_id, claim.attempt, SUCCESS) is None

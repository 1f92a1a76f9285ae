from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError
from django_celery_results.models import TaskResult

from predictions import outcomes
from predictions.errors import NonFiniteOutput
from predictions.model_cards import ModelCard
from predictions.models import Event, Job, State
from predictions.vitals import vitals
from predictions.worker import single
from predictions.worker.runtime import models
from tests.predictions.jobs import claimed, now, submit_digit

pytestmark = pytest.mark.django_db


class Failing:
    device = "cpu"

    def __init__(self, card: ModelCard, error: Exception) -> None:
        self.card, self._error = card, error

    def probabilities(self, _: Any) -> Any:
        raise self._error


def work(user: Any, card: ModelCard, error: Exception | None = None) -> Job:
    claim = claimed(submit_digit(user, card))
    model: Any = Failing(card, error) if error else models.get(card.ref)
    single.work_on(claim, list(claim.job.vector), model)
    return now(claim.job)


def test_a_vector_is_classified(user: Any, digits: ModelCard) -> None:
    job = work(user, digits)
    assert job.state == State.SUCCEEDED and outcomes.results_of([job.pk])[job.pk]["class"] == 3


def test_an_output_that_is_not_finite_fails_and_is_not_retried(user: Any, digits: ModelCard) -> None:
    job = work(user, digits, NonFiniteOutput("The output is not finite."))
    assert job.error == {"code": "non_finite_output", "message": "The output is not finite."}


def test_an_error_of_the_device_is_retried_later(user: Any, digits: ModelCard) -> None:
    job = work(user, digits, RuntimeError("CUDA error: device-side assert"))
    assert (job.state, job.retries) == (State.QUEUED, 1) and "CUDA error" in Event.objects.get().text


def test_a_fault_of_our_own_fails_with_its_traceback_for_staff(user: Any, digits: ModelCard) -> None:
    job = work(user, digits, KeyError("digit"))
    assert (job.error or {})["code"] == "worker_error" and "KeyError" in TaskResult.objects.get().traceback


def test_the_worker_counts_what_it_did(user: Any, digits: ModelCard) -> None:
    before = vitals.processed, vitals.failed
    work(user, digits)
    work(user, digits, KeyError("digit"))
    assert (vitals.processed - before[0], vitals.failed - before[1], vitals.job) == (2, 1, "")


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_when_the_outcome_is_written_costs_time_and_not_the_job(
    user: Any, digits: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish, shut = outcomes.finish, [OperationalError("database is locked")]

    def finish_later(*args: Any, **changes: Any) -> State | None:
        if shut:
            raise shut.pop()
        return finish(*args, **changes)

    monkeypatch.setattr(outcomes, "finish", finish_later)
    assert work(user, digits).state == State.SUCCEEDED

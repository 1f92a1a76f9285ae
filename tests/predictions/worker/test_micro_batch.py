from __future__ import annotations

from typing import Any

import pytest
from django.db import DataError, OperationalError
from django_celery_results.models import TaskResult

from predictions import contract, leases, outcomes, recovery, revocation, submission, task_results
from predictions.errors import NonFiniteOutput
from predictions.live import say
from predictions.model_cards import ModelCard
from predictions.models import Event, Job, State
from predictions.submission import Wishes
from predictions.vitals import vitals
from predictions.worker import micro_batch
from predictions.worker.micro_batch import Request
from predictions.worker.runtime import Model, models
from tests.predictions.jobs import claimed, lapse, now, submit_digit

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
    micro_batch.score([claim], {claim.job_id: list(claim.job.vector)}, model)
    return now(claim.job)


def requests(*jobs: Job) -> list[Request]:
    return [Request(job.pk, list(job.vector)) for job in jobs]


class FailsAt:
    """A model that fails a pass in which one digit is."""

    device = "cpu"

    def __init__(self, model: Model, digit: list[float], error: Exception) -> None:
        self.card, self._model, self._digit, self._error = model.card, model, digit, error

    def probabilities(self, x: Any) -> Any:
        if self._digit in x.tolist():
            raise self._error
        return self._model.probabilities(x)


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
    succeed, shut = outcomes.succeed_together, [OperationalError("database is locked")]

    def succeed_later(scored: Any) -> Any:
        if shut:
            raise shut.pop()
        return succeed(scored)

    monkeypatch.setattr(outcomes, "succeed_together", succeed_later)
    assert work(user, digits).state == State.SUCCEEDED


def test_what_waits_is_scored_together_and_says_so(user: Any, digits: ModelCard) -> None:
    jobs = [submit_digit(user, digits, digit=digit) for digit in range(5)]
    before = vitals.micro_batches[5]
    micro_batch.work_on(requests(*jobs), digits.ref)
    predicted = outcomes.results_of([job.pk for job in jobs])
    assert [predicted[job.pk]["class"] for job in jobs] == [0, 1, 2, 3, 4]
    assert {(now(job).micro_batch, now(job).done, now(job).attempt) for job in jobs} == {(5, 1, 1)}
    assert vitals.micro_batches[5] == before + 1 and TaskResult.objects.filter(status="SUCCESS").count() == 5


def test_a_vector_that_fails_fails_alone(user: Any, digits: ModelCard) -> None:
    jobs = [submit_digit(user, digits, digit=digit) for digit in range(4)]
    model: Any = FailsAt(models.get(digits.ref), list(jobs[2].vector), NonFiniteOutput("The output is not finite."))
    claims = [claimed(job) for job in jobs]
    micro_batch.score(claims, {job.pk: list(job.vector) for job in jobs}, model)
    assert [now(job).state for job in jobs] == ["succeeded", "succeeded", "failed", "succeeded"]
    assert (now(jobs[2]).error or {})["code"] == "non_finite_output"


def test_an_error_of_the_device_sends_back_only_whom_it_hits_alone(user: Any, digits: ModelCard) -> None:
    jobs = [submit_digit(user, digits, digit=digit) for digit in range(3)]
    model: Any = FailsAt(models.get(digits.ref), list(jobs[0].vector), RuntimeError("CUDA error"))
    micro_batch.score([claimed(job) for job in jobs], {job.pk: list(job.vector) for job in jobs}, model)
    assert [(now(job).state, now(job).retries) for job in jobs] == [("queued", 1), ("succeeded", 0), ("succeeded", 0)]


def test_a_job_that_a_worker_died_on_is_scored_alone(user: Any, digits: ModelCard) -> None:
    crashed, *others = [submit_digit(user, digits, digit=digit) for digit in range(4)]
    Job.objects.filter(pk=crashed.pk).update(crashes=1)
    micro_batch.work_on(requests(crashed, *others), digits.ref)
    assert (now(crashed).state, now(crashed).micro_batch) == (State.SUCCEEDED, 1)
    assert [now(job).micro_batch for job in others] == [3, 3, 3]


def test_the_same_job_twice_in_a_micro_batch_is_one_job(user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    micro_batch.work_on(requests(job, job), digits.ref)
    assert (now(job).attempt, now(job).micro_batch, TaskResult.objects.count()) == (1, 1, 1)


def test_of_a_micro_batch_only_what_may_be_claimed_is_scored(user: Any, digits: ModelCard) -> None:
    queued, revoked, held = [submit_digit(user, digits) for _ in range(3)]
    revocation.revoke(revoked, user)
    claimed(held, "realtime@other")
    micro_batch.work_on(requests(queued, revoked, held), digits.ref)
    assert [now(job).state for job in (queued, revoked, held)] == ["succeeded", "revoked", "running"]


def test_what_is_revoked_while_it_is_scored_keeps_no_result_and_its_neighbours_do(user: Any, digits: ModelCard) -> None:
    stopped, other = submit_digit(user, digits), submit_digit(user, digits)
    claims = [claimed(stopped), claimed(other)]
    revocation.revoke(stopped, user)
    micro_batch.score(claims, {job.pk: list(job.vector) for job in (stopped, other)}, models.get(digits.ref))
    assert (now(stopped).state, now(other).state) == (State.REVOKED, State.SUCCEEDED)
    assert TaskResult.objects.get(task_id=str(stopped.pk)).status == "REVOKED"
    assert list(outcomes.results_of([stopped.pk, other.pk])) == [other.pk]


def test_a_late_result_in_a_micro_batch_is_refused_and_the_others_are_kept(user: Any, digits: ModelCard) -> None:
    late, other = submit_digit(user, digits), submit_digit(user, digits)
    claims, fenced = [claimed(late), claimed(other)], vitals.fenced
    lapse(late)
    recovery.reap()
    claimed(late, "realtime@other")
    micro_batch.score(claims, {job.pk: list(job.vector) for job in (late, other)}, models.get(digits.ref))
    assert (now(late).state, now(other).state, vitals.fenced - fenced) == ("running", "succeeded", 1)


def test_a_row_that_cannot_be_written_does_not_take_its_neighbours_along(
    user: Any, digits: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [submit_digit(user, digits, digit=digit) for digit in range(3)]
    refused, write = str(jobs[1].pk), task_results.write

    def refuse_one(rows: Any) -> None:
        kept = list(rows)
        if len(kept) > 1 and any(row[0] == refused for row in kept):
            raise DataError("a value of one row")
        write(kept)

    monkeypatch.setattr(task_results, "write", refuse_one)
    micro_batch.work_on(requests(*jobs), digits.ref)
    assert [now(job).state for job in jobs] == ["succeeded"] * 3 and TaskResult.objects.count() == 3


def test_a_result_that_is_not_to_be_stored_is_not(user: Any, digits: ModelCard) -> None:
    job, _ = submission.submit_vector(user, [0.0] * 64, digits, Wishes(store=False))
    micro_batch.work_on(requests(job), digits.ref)
    assert now(job).state == State.SUCCEEDED and TaskResult.objects.get().result == "null"


def test_the_news_of_an_end_says_what_the_row_says(
    user: Any, digits: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, told = submit_digit(user, digits), list[Any]()
    claims = leases.claim_jobs([job.pk], "realtime@test")
    monkeypatch.setattr(say, "news", told.extend)
    micro_batch.score(claims, {job.pk: list(job.vector)}, models.get(digits.ref))
    [[job_id, version, owner_id, state, done, ending]] = told
    shown = contract.one_job_json(now(job))
    assert (job_id, version, owner_id, state, done) == (str(job.pk), now(job).version, user.pk, "succeeded", 1)
    assert ending == {name: shown[name] for name in ending} and ending["finished"].endswith("Z")

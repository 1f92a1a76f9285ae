"""A COMMIT whose reply is lost is made again by insist(): it must say the same, and write nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import pytest
from django.db import OperationalError
from django_celery_results.models import TaskResult

from predictions import outcomes, recovery, task_results, turns
from predictions.model_cards import ModelCard
from predictions.models import Event, State
from predictions.outcomes import Ending
from predictions.turns import Turn
from predictions.worker.insisting import insist
from tests.predictions.jobs import SUCCESS, claimed, claimed_chunk, lapse, now, scored, submit_digit, submit_rows

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clean_redis")]
FAILURE = Ending(State.FAILED, error={"code": "worker_error", "message": "It broke."})
T = TypeVar("T")


def reply_lost_once(act: Callable[[], T]) -> Callable[[], T]:
    """The first time it is done and committed, and the connection breaks before the answer comes."""
    broken = [OperationalError("server closed the connection unexpectedly")]

    def acted() -> T:
        done = act()
        if broken:
            raise broken.pop()
        return done

    return acted


@pytest.mark.parametrize("ending", [SUCCESS, FAILURE])
def test_a_finish_says_the_same_again(user: Any, digits: ModelCard, ending: Ending) -> None:
    claim = claimed(submit_digit(user, digits))
    finish = reply_lost_once(partial(outcomes.finish, claim.job.pk, claim.attempt, ending))
    assert insist(finish) == ending.state
    assert TaskResult.objects.get().status == task_results.CELERY_STATUS[ending.state]


def test_the_finish_of_a_chunk_counts_it_once_and_says_how_the_job_stands(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=6, parts=2)
    for number, state in enumerate([State.RUNNING, State.SUCCEEDED]):
        claim = claimed_chunk(job, number)
        assert insist(reply_lost_once(partial(turns.finish_chunk, claim, scored(3)))) == state
    assert (now(job).done, now(job).chunks_done, TaskResult.objects.count()) == (6, 2, 1)


def test_the_chunk_that_came_with_a_finish_is_the_same_again(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=9, parts=3)
    turn = Turn("batch@test")
    insist(reply_lost_once(partial(turns.finish_chunk, claimed_chunk(job, 0), scored(3), turn)))
    assert turn.claim and (turn.claim.chunk.number, turn.claim.attempt) == (1, 1)
    assert turns.finish_chunk(turn.claim, scored(3)) == State.RUNNING


def test_a_chunk_that_came_with_a_finish_and_was_taken_meanwhile_is_not_held(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=9, parts=3)
    turn, finish = Turn("batch@test"), partial(turns.finish_chunk, claimed_chunk(job, 0), scored(3))
    finish(turn)
    lapse(job)
    recovery.reap()
    assert finish(turn) == State.RUNNING and turn.claim is None


def test_a_chunk_whose_job_ended_meanwhile_was_not_taken_from_it(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=6, parts=2)
    failing, other = claimed_chunk(job, 0), claimed_chunk(job, 1)
    turns.fail_by(failing, {"code": "worker_error", "message": "It broke."})
    assert turns.finish_chunk(other, scored(3)) == State.FAILED
    assert now(job).done == 0


def test_the_finish_of_a_chunk_that_was_taken_is_still_refused(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=6)
    late = claimed_chunk(job)
    lapse(job)
    recovery.reap()
    assert insist(reply_lost_once(partial(turns.finish_chunk, late, scored(6)))) is None


def test_a_retry_is_noted_and_counted_once(user: Any, digits: ModelCard) -> None:
    claim = claimed(submit_digit(user, digits))
    assert insist(reply_lost_once(partial(recovery.retry_later, claim.job_id, claim.attempt, "CUDA error")))
    assert (now(claim.job).retries, Event.objects.count()) == (1, 1)

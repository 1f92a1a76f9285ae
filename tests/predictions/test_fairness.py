from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from predictions import broker, fairness, submission
from predictions.clock import now_s
from predictions.model_cards import ModelCard
from predictions.models import Job, State, utc_now
from tests.conftest import StartWorker
from tests.predictions.jobs import now, submit_digit, submit_rows
from tests.processes import eventually

MANY = fairness.MANY_WAITING
LOW = 1_000
TOGETHER = 8
IN_HAND = 2 * TOGETHER
"""The micro-batch that is scored and the one that is fetched ahead: whoever is urgent is in the next but one at the latest."""
pytestmark = pytest.mark.django_db


def rows(owner: Any, card: ModelCard, number: int, **fields: Any) -> list[Job]:
    """Vector jobs as they stand in the database, and no message for them yet."""
    fields = {"priority": 9, "publish_at": now_s() + 1e6, **fields}
    vector = card.examples[3]["vector"]
    return Job.objects.bulk_create(
        Job(owner=owner, kind="realtime", model=card.ref, queue="realtime", vector=vector, created=utc_now(), **fields)
        for _ in range(number)
    )


def test_whoever_has_many_waiting_goes_behind(user: Any, other_user: Any, digits: ModelCard) -> None:
    rows(user, digits, MANY + 1)
    rows(other_user, digits, MANY)
    assert fairness.lane_of([user.pk, other_user.pk]) == {user.pk: 1, other_user.pk: 0}


def test_only_what_waits_counts(user: Any, digits: ModelCard) -> None:
    rows(user, digits, MANY + 1, state=State.RUNNING)
    rows(user, digits, MANY + 1, state=State.SUCCEEDED)
    assert fairness.lane_of([user.pk]) == {user.pk: 0}


def test_the_lane_is_stored_with_the_job_and_kept(user: Any, digits: ModelCard) -> None:
    rows(user, digits, MANY)
    front, behind = submit_digit(user, digits), submit_digit(user, digits)
    assert [now(job).lane for job in (front, behind)] == [0, 1]


def test_a_retry_goes_behind_as_well(user: Any, digits: ModelCard) -> None:
    (ended,) = rows(user, digits, 1, state=State.FAILED)
    rows(user, digits, MANY + 1)
    assert submission.retry(ended, user).lane == 1


def test_a_batch_takes_turns_and_needs_no_lane(user: Any, digits: ModelCard) -> None:
    rows(user, digits, MANY + 1)
    assert submit_rows(user, digits, rows=2).lane == 0


def test_the_question_is_answered_from_the_index_of_those_that_wait(user: Any) -> None:
    sql = fairness.HAVE_MANY.format(ids="(%s)")
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
        words = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
        cursor.execute(f"{words} {sql}", [user.pk, MANY])
        plan = str(cursor.fetchall())
    assert "job_waiting_of_owner" in plan


@pytest.mark.long
@pytest.mark.django_db(transaction=True)
def test_with_a_thousand_low_jobs_waiting_a_nine_goes_next(
    a_worker: StartWorker, user: Any, other_user: Any, digits: ModelCard, steward: Any
) -> None:
    rows(user, digits, LOW, priority=1, lane=1, publish_at=now_s())
    assert eventually(lambda: broker.depths()["realtime"].waiting == LOW)
    a_worker("realtime", env={"MICRO_BATCH": str(TOGETHER)})
    assert eventually(lambda: Job.objects.filter(state=State.SUCCEEDED).exists())
    urgent = submit_digit(other_user, digits, priority=9)
    assert eventually(lambda: now(urgent).started is not None)
    assert Job.objects.filter(priority=1, state=State.QUEUED).exists()
    overtaken = Job.objects.filter(priority=1, started__gt=urgent.created, started__lt=now(urgent).started)
    # And what was taken while its message was on its way.
    assert overtaken.count() <= IN_HAND + TOGETHER


@pytest.mark.long
@pytest.mark.django_db(transaction=True)
def test_a_flood_of_one_owner_lets_the_first_of_another_pass(
    a_worker: StartWorker, user: Any, other_user: Any, digits: ModelCard
) -> None:
    for _ in range(300):
        submit_digit(user, digits, priority=9)
    single = submit_digit(other_user, digits, priority=9)
    assert eventually(lambda: broker.depths()["realtime"].waiting == 301)
    a_worker("realtime", env={"MICRO_BATCH": str(TOGETHER)})
    assert eventually(lambda: not Job.objects.filter(state=State.QUEUED).exists())
    before = Job.objects.filter(owner=user, started__lt=now(single).started).count()
    assert MANY < before <= MANY + 1 + IN_HAND + TOGETHER

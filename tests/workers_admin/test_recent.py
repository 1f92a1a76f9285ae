from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from predictions import outcomes
from predictions.model_cards import ModelCard
from predictions.models import Job, State, utc_now
from predictions.outcomes import Ending
from tests.predictions.jobs import SUCCESS, claimed, submit_digit
from workers_admin import recent
from workers_admin.recent import percentiles

FAILURE = Ending(State.FAILED, error={"code": "worker_error", "message": "It broke."})


def test_percentiles_are_values_that_occurred() -> None:
    assert percentiles([float(n) for n in range(1, 101)]) == (50.0, 95.0)


def test_of_one_value_both_percentiles_are_that_value() -> None:
    assert percentiles([3.0]) == (3.0, 3.0)


def test_of_nothing_there_are_no_percentiles() -> None:
    assert percentiles([]) is None


def ended(owner: Any, card: ModelCard, ending: Ending = SUCCESS) -> Job:
    claim = claimed(submit_digit(owner, card))
    outcomes.finish(claim.job.pk, claim.attempt, ending)
    return claim.job


@pytest.mark.django_db
def test_waits_and_runs_are_told_by_queue(user: Any, digits: ModelCard) -> None:
    begun = utc_now() - timedelta(seconds=60)
    times = {"created": begun, "started": begun + timedelta(seconds=2), "finished": begun + timedelta(seconds=5)}
    Job.objects.filter(pk=ended(user, digits).pk).update(**times)
    (took,) = recent.took()
    assert (took.queue, took.ended, took.wait_s, took.run_s) == ("realtime", 1, (2.0, 2.0), (3.0, 3.0))


@pytest.mark.django_db
def test_what_ended_more_than_five_minutes_ago_counts_no_more(user: Any, digits: ModelCard) -> None:
    job = ended(user, digits, FAILURE)
    assert recent.failures().number == 1 and recent.failed() == [job]
    Job.objects.filter(pk=job.pk).update(finished=utc_now() - timedelta(minutes=6))
    assert recent.failures().number == 0 and recent.took() == []


@pytest.mark.django_db
def test_the_next_in_line_are_the_most_urgent_and_of_those_the_oldest(user: Any, digits: ModelCard) -> None:
    low, first, second = (submit_digit(user, digits, priority=priority) for priority in (1, 9, 9))
    assert recent.next_in_line("realtime") == [first, second, low]

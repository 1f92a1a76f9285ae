from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from predictions import waiting
from predictions.model_cards import ModelCard
from predictions.models import Job, State, utc_now
from tests.predictions.jobs import claimed, now, submit_digit
from tests.predictions.test_workers import a_process

pytestmark = pytest.mark.django_db


def ahead_of(job: Job) -> int:
    position = waiting.position(now(job))
    assert position is not None
    return position.ahead


def test_those_more_urgent_and_those_before_it_go_first(user: Any, digits: ModelCard) -> None:
    first, low, second, urgent = (submit_digit(user, digits, priority=priority) for priority in (5, 1, 5, 9))
    assert [ahead_of(job) for job in (urgent, first, second, low)] == [0, 1, 2, 3]


def test_of_one_priority_those_behind_go_last(user: Any, digits: ModelCard) -> None:
    behind, low, front = (submit_digit(user, digits, priority=priority) for priority in (9, 1, 9))
    Job.objects.filter(pk=behind.pk).update(lane=1)
    assert [ahead_of(job) for job in (front, behind, low)] == [0, 1, 2]
    assert [waiting.outlook("realtime", [9], lane)[9].ahead for lane in (0, 1)] == [1, 2]


def test_a_running_job_has_no_position(user: Any, digits: ModelCard) -> None:
    assert waiting.position(claimed(submit_digit(user, digits)).job) is None


def test_without_a_worker_nobody_can_say_how_long(user: Any, digits: ModelCard) -> None:
    position = waiting.position(submit_digit(user, digits))
    assert position and position.eta_s is None


def test_the_wait_is_told_from_what_recent_jobs_took(user: Any, digits: ModelCard) -> None:
    a_process()
    done = submit_digit(user, digits)
    Job.objects.filter(pk=done.pk).update(
        state=State.SUCCEEDED, started=utc_now() - timedelta(seconds=2), finished=utc_now()
    )
    submit_digit(user, digits)
    position = waiting.position(submit_digit(user, digits))
    assert position and position.eta_s == (pytest.approx(2, abs=0.1), pytest.approx(4, abs=0.1))

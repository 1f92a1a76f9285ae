from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from predictions import outcomes
from predictions.clock import now_s
from predictions.model_cards import ModelCard
from predictions.models import Job, State, utc_now
from predictions.outcomes import Ending
from tests.predictions.jobs import SUCCESS, claimed, submit_digit
from workers_admin import recent, samples
from workers_admin.histograms import bucket_of
from workers_admin.stretches import Stretch

FAILURE = Ending(State.FAILED, error={"code": "worker_error", "message": "It broke."})


def ended(owner: Any, card: ModelCard, ending: Ending = SUCCESS) -> Job:
    claim = claimed(submit_digit(owner, card))
    outcomes.finish(claim.job.pk, claim.attempt, ending)
    return claim.job


def write(ago_s: int, queue: str = "realtime", wait_s: float = 2.0) -> None:
    """Ten seconds in which a job ended, after it ran for 3 s, and one was revoked that never started."""
    stretch = Stretch(counts=Counter(submitted=9, succeeded=1, revoked=1))
    stretch.count("waits", bucket_of(wait_s))
    stretch.count("runs", bucket_of(3.0))
    samples.write(10, int(now_s()) // 10 * 10 - ago_s, {(queue, ""): stretch, (queue, "digits@1"): stretch})


@pytest.mark.django_db
def test_waits_and_runs_are_told_by_queue() -> None:
    for ago_s, wait_s in ((20, 1.0), (40, 2.0), (60, 2.0), (80, 50.0)):
        write(ago_s, wait_s=wait_s)
    write(20, queue="batch")
    realtime, batch = recent.took()
    assert (realtime.queue, realtime.ended, batch.queue, batch.ended) == ("realtime", 8, "batch", 2)
    assert realtime.wait_s == pytest.approx((2.0, 50.0), rel=0.05)
    assert realtime.run_s == pytest.approx((3.0, 3.0), rel=0.05)


@pytest.mark.django_db
def test_of_jobs_that_never_started_there_are_no_times() -> None:
    revoked = Stretch(counts=Counter(revoked=2))
    samples.write(10, int(now_s()) // 10 * 10 - 20, {("realtime", ""): revoked})
    (took,) = recent.took()
    assert (took.ended, took.wait_s, took.run_s) == (2, (None, None), (None, None))


@pytest.mark.django_db
def test_what_ended_more_than_five_minutes_ago_counts_no_more(user: Any, digits: ModelCard) -> None:
    write(320)
    assert recent.took() == []
    job = ended(user, digits, FAILURE)
    assert recent.failures().number == 1 and recent.failed() == [job]
    Job.objects.filter(pk=job.pk).update(finished=utc_now() - timedelta(minutes=6))
    assert recent.failures().number == 0


@pytest.mark.django_db
def test_the_next_in_line_are_the_most_urgent_and_of_those_the_oldest(user: Any, digits: ModelCard) -> None:
    low, first, second = (submit_digit(user, digits, priority=priority) for priority in (1, 9, 9))
    assert recent.next_in_line("realtime") == [first, second, low]

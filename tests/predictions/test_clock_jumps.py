from __future__ import annotations

from typing import Any

import pytest

from predictions import clock_jumps, leases, workers
from predictions.clock import Clock, now_s
from predictions.model_cards import ModelCard
from predictions.models import Chunk, Job
from predictions.workers import Worker
from tests.predictions.jobs import claimed, claimed_chunk, now, submit_digit, submit_rows

pytestmark = pytest.mark.django_db
HOUR_S = 3600.0


def test_leases_of_an_hour_ago_s_future_are_given_their_length_anew(user: Any, digits: ModelCard) -> None:
    job, batch = submit_digit(user, digits), submit_rows(user, digits, rows=10)
    claimed(job), claimed_chunk(batch)
    Job.objects.filter(pk=job.pk).update(lease_until=Clock() + HOUR_S)
    Chunk.objects.update(lease_until=Clock() + HOUR_S)
    assert clock_jumps.pull_back() == 2
    for lease_until in (now(job).lease_until, Chunk.objects.get().lease_until):
        assert 0 < (lease_until or 0) - now_s() <= leases.LEASE_S


def test_what_was_put_off_by_an_hour_is_due(user: Any, digits: ModelCard) -> None:
    job, other = submit_digit(user, digits), submit_digit(user, digits)
    Job.objects.filter(pk=job.pk).update(publish_at=None, run_after=Clock() + HOUR_S)
    Job.objects.filter(pk=other.pk).update(publish_at=Clock() + HOUR_S)
    assert clock_jumps.pull_back() == 2
    assert set(Job.objects.due()) == {job, other} and leases.claim_job(job.pk, "realtime@test")


def test_a_worker_that_reported_before_the_jump_does_not_look_alive_for_an_hour(db: None) -> None:
    workers.report("realtime@dead", 1, "here", {"started": "2026-01-01T00:00:00Z", "queues": ["realtime"]})
    Worker.objects.update(beat_at=Clock() + HOUR_S)
    assert clock_jumps.pull_back() == 1
    assert Worker.objects.get().beat_at <= now_s()


def test_times_that_anything_may_have_are_left_alone(user: Any, digits: ModelCard) -> None:
    claimed(submit_digit(user, digits))
    Job.objects.filter(pk=submit_digit(user, digits).pk).update(publish_at=Clock() + 30, run_after=Clock() + 20)
    assert clock_jumps.pull_back() == 0

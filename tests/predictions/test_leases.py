from __future__ import annotations

from typing import Any

import pytest

from predictions import leases, revocation
from predictions.clock import Clock, now_s
from predictions.model_cards import ModelCard
from predictions.models import Chunk, Job, State
from tests.predictions.jobs import claimed, claimed_chunk, lapse, now, submit_digit, submit_rows

pytestmark = pytest.mark.django_db


def test_a_claimed_job_runs_under_a_lease_of_nine_seconds(user: Any, digits: ModelCard) -> None:
    claim = claimed(submit_digit(user, digits), "realtime@here")
    assert (claim.job.state, claim.attempt, claim.job.worker) == (State.RUNNING, 1, "realtime@here")
    assert 8.0 < (claim.job.lease_until or 0) - now_s() < 9.1


def test_a_job_is_claimed_once(user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    claimed(job)
    assert leases.claim_job(job.pk, "another") is None


def test_a_revoked_job_is_never_claimed(user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    revocation.revoke(job, user)
    assert leases.claim_job(job.pk, "late") is None


def test_a_job_that_waits_for_its_retry_is_not_claimed_by_a_stale_message(user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    Job.objects.filter(pk=job.pk).update(run_after=Clock() + 5.0)
    assert leases.claim_job(job.pk, "early") is None


def test_a_chunk_is_claimed_only_by_the_message_of_its_attempt(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=4)
    chunk = Chunk.objects.get(job=job)
    assert leases.claim_chunk(job.pk, chunk.pk, chunk.attempt + 1, "stale") is None
    assert now(job).state == State.QUEUED


def test_the_first_chunk_claimed_starts_the_job(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=4)
    claimed_chunk(job)
    assert (now(job).state, now(job).attempt, now(job).lease_until) == (State.RUNNING, 1, None)


def test_no_chunk_of_a_job_that_is_being_revoked_is_claimed(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=4, parts=2)
    claimed_chunk(job, 0)
    second = Chunk.objects.get(job=job, number=1)
    Chunk.objects.filter(pk=second.pk).update(state=Chunk.State.RESERVED)
    revocation.revoke(job, user)
    assert leases.claim_chunk(job.pk, second.pk, second.attempt, "late") is None


def test_a_beat_renews_what_is_held_and_says_what_is_lost(user: Any, digits: ModelCard) -> None:
    held, lost = claimed(submit_digit(user, digits)), claimed(submit_digit(user, digits))
    Job.objects.filter(pk=lost.job.pk).update(attempt=2)
    lapse(held.job)
    assert leases.renew([held, lost]) == {held.key}
    assert (now(held.job).lease_until or 0) > now_s()


def test_a_beat_for_many_claims_is_one_update_a_kind(
    user: Any, digits: ModelCard, django_assert_num_queries: Any
) -> None:
    held = [claimed(submit_digit(user, digits)) for _ in range(64)]
    held += [claimed_chunk(submit_rows(user, digits, rows=4)) for _ in range(2)]
    Job.objects.exclude(lease_until=None).update(lease_until=1.0)
    savepoints = 2 * 2
    with django_assert_num_queries(2 + savepoints):
        assert leases.renew(held) == {claim.key for claim in held}
    assert not Job.objects.filter(lease_until__lt=Clock()).exists()


def test_a_beat_holds_no_chunk_that_another_attempt_runs(user: Any, digits: ModelCard) -> None:
    held, lost = (claimed_chunk(submit_rows(user, digits, rows=4)) for _ in range(2))
    assert lost.chunk
    Chunk.objects.filter(pk=lost.chunk.pk).update(attempt=2, lease_until=1.0)
    assert leases.renew([held, lost]) == {held.key}
    assert Chunk.objects.get(pk=lost.chunk.pk).lease_until == 1.0

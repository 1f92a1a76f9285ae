from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import connection, transaction
from django_celery_results.models import TaskResult

from predictions import broker, dispatch, leases, recovery, turns
from predictions.clock import Clock
from predictions.model_cards import ModelCard
from predictions.models import Chunk, Event, Job, State
from tests.predictions.jobs import claimed, claimed_chunk, lapse, now, scored, submit_digit, submit_rows

pytestmark = pytest.mark.django_db


def make_due() -> None:
    Job.objects.exclude(publish_at=None).update(publish_at=1.0)
    Chunk.objects.exclude(publish_at=None).update(publish_at=1.0)


def test_a_job_of_a_dead_worker_is_queued_again_and_its_timeline_says_why(user: Any, digits: ModelCard) -> None:
    claim = claimed(submit_digit(user, digits), "realtime@dead")
    lapse(claim.job)
    assert recovery.reap() == 1
    assert (now(claim.job).state, now(claim.job).crashes) == (State.QUEUED, 1)
    assert Event.objects.get().text == "realtime@dead stopped answering; queued again"


def test_a_job_whose_lease_holds_is_left_alone(user: Any, digits: ModelCard) -> None:
    claimed(submit_digit(user, digits))
    assert recovery.reap() == 0


def test_a_job_that_kills_three_workers_fails_with_that_sentence(user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    for _ in range(3):
        claimed(job, "realtime@unlucky")
        lapse(job)
        recovery.reap()
    assert now(job).state == State.FAILED
    assert now(job).error_text == "3 workers died on it; the last was realtime@unlucky."
    assert TaskResult.objects.get().status == "FAILURE"


def test_a_dead_workers_job_whose_revocation_was_asked_ends_revoked(user: Any, digits: ModelCard) -> None:
    claim = claimed(submit_digit(user, digits))
    Job.objects.update(revoke_requested=True)
    lapse(claim.job)
    recovery.reap()
    assert now(claim.job).state == State.REVOKED and TaskResult.objects.get().status == "REVOKED"


def test_a_dead_workers_chunk_is_reserved_again(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=4)
    claim = claimed_chunk(job)
    lapse(job)
    recovery.reap()
    assert claim.chunk and Chunk.objects.get().state == Chunk.State.RESERVED and now(job).state == State.RUNNING


def test_a_part_that_kills_three_workers_fails_the_batch_and_names_its_lines(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=4)
    for _ in range(3):
        claimed_chunk(job)
        lapse(job)
        recovery.reap()
    assert now(job).error_text == "3 workers died on lines 2 to 5; the last was batch@test."


def test_a_batch_asked_to_stop_ends_when_nothing_of_it_runs(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=4, parts=2)
    turns.finish_chunk(claimed_chunk(job, 0), scored(2))
    Job.objects.update(revoke_requested=True)
    recovery.end_stopped()
    assert now(job).state == State.REVOKED and now(job).done == 2


@pytest.mark.skipif(
    "connection.vendor == 'sqlite'", reason="SQLite has one writer: whoever freezes with it holds up all"
)
@pytest.mark.django_db(transaction=True)
def test_a_worker_that_froze_in_a_transaction_holds_up_nobody_elses_rescue(user: Any, digits: ModelCard) -> None:
    frozen, vector, batch = (submit_digit(user, digits), submit_digit(user, digits), submit_rows(user, digits, rows=4))
    claimed(frozen), claimed(vector), claimed_chunk(batch)
    for job in (frozen, vector, batch):
        lapse(job)
    reaped = []
    with transaction.atomic():
        Job.objects.select_for_update().get(pk=frozen.pk)
        steward = threading.Thread(target=lambda: (reaped.append(recovery.reap()), connection.close()))
        steward.start()
        steward.join(5)
        assert reaped == [2] and now(frozen).state == State.RUNNING
    assert recovery.reap() == 1


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer: nobody waits for a row")
@pytest.mark.django_db(transaction=True)
def test_a_chunk_that_another_steward_publishes_is_not_published_by_this_one(user: Any, digits: ModelCard) -> None:
    submit_rows(user, digits, rows=4)
    make_due()
    taken = []
    with transaction.atomic():
        first = recovery._take_due_chunks()
        other = threading.Thread(target=lambda: (taken.append(recovery._take_due_chunks()), connection.close()))
        other.start()
        time.sleep(0.5)
    other.join()
    assert len(first) == 1 and taken == [[]]


def test_nobody_is_reaped_for_four_seconds_after_a_gap_in_the_ticks() -> None:
    assert not recovery.Patience().may_reap(13.0)
    assert recovery.Patience().may_reap(1.0)


def test_what_was_never_published_is_published_by_the_steward(user: Any, digits: ModelCard, clean_redis: None) -> None:
    job, batch = submit_digit(user, digits), submit_rows(user, digits, rows=4)
    make_due()
    assert recovery.publish_due(dispatch.Sender()) == 2
    assert broker.waiting_ids("realtime") == [str(job.pk)] and broker.depths()["batch"].waiting == 1
    assert now(job).publish_at is None and now(batch).published is not None


def test_a_long_backlog_is_published_in_one_go_the_urgent_first(
    user: Any, digits: ModelCard, clean_redis: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "AT_ONCE", 2)
    jobs = [submit_digit(user, digits, priority=priority) for priority in (1, 5, 9, 5, 9)]
    make_due()
    assert recovery.publish_all_due(dispatch.Sender()) == 5
    assert broker.waiting_ids("realtime") == [str(jobs[place].pk) for place in (2, 4, 1, 3, 0)]


def test_what_was_taken_is_sent_though_the_next_kind_cannot_be(
    user: Any, digits: ModelCard, clean_redis: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, idle = submit_digit(user, digits), submit_rows(user, digits, rows=4, parts=2)
    turns.finish_chunk(claimed_chunk(idle, 0), scored(2))
    make_due()
    monkeypatch.setattr(turns, "reserve", lambda _: Job.objects.get(pk=None))
    with pytest.raises(Job.DoesNotExist):
        recovery.publish_due(dispatch.Sender())
    assert broker.waiting_ids("realtime") == [str(job.pk)]


def test_a_row_is_not_published_twice_in_thirty_seconds(user: Any, digits: ModelCard, clean_redis: None) -> None:
    submit_digit(user, digits)
    make_due()
    recovery.publish_due(dispatch.Sender())
    assert recovery.publish_due(dispatch.Sender()) == 0 and broker.depths()["realtime"].waiting == 1


def test_a_batch_left_between_two_turns_goes_on(user: Any, digits: ModelCard, clean_redis: None) -> None:
    job = submit_rows(user, digits, rows=4, parts=2)
    turns.finish_chunk(claimed_chunk(job, 0), scored(2))
    assert recovery.publish_due(dispatch.Sender()) == 1
    assert Chunk.objects.get(number=1).state == Chunk.State.RESERVED


def test_a_redis_that_forgot_gets_every_message_again_once(user: Any, digits: ModelCard, clean_redis: None) -> None:
    sender = dispatch.Sender()
    submit_digit(user, digits)
    make_due()
    recovery.publish_what_redis_forgot()
    recovery.publish_due(sender)
    broker.client().flushall()
    assert recovery.publish_what_redis_forgot()
    assert recovery.publish_due(sender) == 1 and broker.depths()["realtime"].waiting == 1
    # However many stewards look: with a mark of its own, each took the other's for a loss and published all for ever.
    assert not recovery.publish_what_redis_forgot()


def test_of_a_batch_a_redis_that_forgot_gets_the_parts_and_never_a_vector(
    user: Any, digits: ModelCard, clean_redis: None
) -> None:
    batch = submit_rows(user, digits, rows=4)
    Chunk.objects.update(publish_at=None)
    recovery.publish_all_again()
    assert now(batch).publish_at is None and Chunk.objects.get().publish_at is not None
    assert leases.claim_job(batch.pk, "realtime@test") is None


def test_what_could_not_be_sent_is_due_again_at_once(user: Any, digits: ModelCard, clean_redis: None) -> None:
    job, batch = submit_digit(user, digits), submit_rows(user, digits, rows=4)
    make_due()
    broker.client().config_set("maxmemory", 1)
    try:
        assert recovery.publish_due(dispatch.Sender()) == 0
    finally:
        broker.client().config_set("maxmemory", 0)
    assert Job.objects.due().get() == job and Chunk.objects.filter(job=batch, publish_at__lte=Clock()).exists()


def test_a_part_that_ran_when_its_job_ended_is_no_death(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=4, parts=2)
    first, _ = claimed_chunk(job, 0), claimed_chunk(job, 1)
    turns.fail_by(first, {"code": "worker_error", "message": "It broke."})
    lapse(job)
    recovery.reap()
    assert not Event.objects.exists() and now(job).crashes == 0
    assert not Chunk.objects.filter(state__in=[Chunk.State.RESERVED, Chunk.State.RUNNING]).exists()


def test_a_device_error_is_retried_by_a_time_in_the_database_and_no_more_than_twice(
    user: Any, digits: ModelCard
) -> None:
    job = submit_digit(user, digits)
    for expected in (True, True, False):
        claim = claimed(job)
        assert recovery.retry_later(claim.job_id, claim.attempt, "CUDA error") is expected
        Job.objects.update(run_after=0)
    assert [event.text for event in Event.objects.all()] == [
        "CUDA error; tried again in 5 s",
        "CUDA error; tried again in 10 s",
    ]


def test_a_postponed_job_stays_queued(user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    recovery.postpone(job.pk, 5.0)
    assert now(job).state == State.QUEUED
    assert Job.objects.filter(publish_at__gt=Clock() + 4.0).exists()

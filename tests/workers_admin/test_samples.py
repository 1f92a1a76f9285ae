from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier, Event
from typing import Any

import pytest
from django.db import connection, transaction

from predictions import broker, clock, dispatch, outcomes, revocation, ticks
from predictions.model_cards import ModelCard
from predictions.models import Job, Kind, State, new_id
from predictions.outcomes import Ending
from tests.predictions.jobs import SUCCESS, claimed, submit_digit
from tests.processes import eventually
from tests.workers_admin.facts import process
from workers_admin import samples, settling
from workers_admin.depths import QueueDepth, depths
from workers_admin.histograms import bucket_of
from workers_admin.models import Sample

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clean_redis")]
FAILURE = Ending(State.FAILED, error={"code": "worker_error", "message": "It broke."})
AT = 1_750_000_000


def moment(second: float) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def ended(owner: Any, card: ModelCard, at: float, ending: Ending = SUCCESS, micro_batch: int = 1) -> Job:
    """A job that waited for 2 s, ran for 0.5 s and ended at that second."""
    claim = claimed(submit_digit(owner, card))
    outcomes.finish(claim.job.pk, claim.attempt, ending, micro_batch=micro_batch)
    times = {"created": moment(at - 2.5), "started": moment(at - 0.5), "finished": moment(at)}
    Job.objects.filter(pk=claim.job.pk).update(**times)
    return claim.job


@pytest.fixture
def until(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`until(second)`: sample when the history stands up to that second."""

    def sample(second: float) -> int:
        monkeypatch.setattr(samples, "settled_until", lambda: second)
        return samples.sample()

    return sample


def rows(model: str = "", queue: str = "realtime") -> list[Sample]:
    return list(Sample.objects.filter(queue=queue, model=model, every_s=10).order_by("at"))


def test_a_stretch_tells_what_ended_in_it_and_what_that_took(user: Any, digits: ModelCard, until: Any) -> None:
    ended(user, digits, AT + 1, micro_batch=4)
    ended(user, digits, AT + 9.999, FAILURE, micro_batch=4)
    until(AT + 11)
    for (row,) in (rows(), rows("digits@1")):
        assert (row.at, row.succeeded, row.failed, row.revoked) == (AT, 1, 1, 0)
        assert (row.waits, row.runs) == ({str(bucket_of(2.0)): 2}, {str(bucket_of(0.5)): 2})
        assert row.micro_batches == {"4": 2}


def test_a_job_that_never_started_counts_and_has_no_times(user: Any, digits: ModelCard, until: Any) -> None:
    job = submit_digit(user, digits)
    revocation.revoke(job, user)
    Job.objects.filter(pk=job.pk).update(finished=moment(AT + 5))
    until(AT + 10)
    (row,) = rows()
    assert (row.revoked, row.waits, row.runs) == (1, {}, {})


def test_a_job_whose_result_expired_meanwhile_had_succeeded(user: Any, digits: ModelCard, until: Any) -> None:
    Job.objects.filter(pk=ended(user, digits, AT + 5).pk).update(state=State.EXPIRED)
    until(AT + 10)
    assert rows()[0].succeeded == 1


def test_a_job_at_the_edge_belongs_to_the_stretch_that_begins_there(user: Any, digits: ModelCard, until: Any) -> None:
    ended(user, digits, AT + 10)
    until(AT + 10)
    until(AT + 20)
    assert [(row.at, row.succeeded) for row in rows()] == [(AT, 0), (AT + 10, 1)]


def test_a_stretch_is_written_once(user: Any, digits: ModelCard, until: Any) -> None:
    assert (until(AT + 10), until(AT + 19.9), until(AT + 20)) == (1, 0, 1)


def test_thousands_that_end_in_a_stretch_are_counted_to_the_last(user: Any, until: Any) -> None:
    number = samples.READ_AT_ONCE + 1
    times = {"created": moment(AT), "started": moment(AT + 1), "finished": moment(AT + 2)}
    what = {"kind": Kind.REALTIME, "queue": "realtime", "model": "digits@1", "priority": 5, "state": State.SUCCEEDED}
    Job.objects.bulk_create(Job(pk=new_id(), owner=user, **what, **times) for _ in range(number))
    until(AT + 10)
    assert (rows()[0].succeeded, rows()[0].waits) == (number, {str(bucket_of(1.0)): number})


def test_what_was_submitted_is_told_by_the_ids(user: Any, digits: ModelCard, until: Any) -> None:
    second = clock.now_s() // 10 * 10
    until(second - 20)
    job = submit_digit(user, digits)
    until(second + 20)
    made = job.created.timestamp() // 10 * 10
    assert [(row.at, row.submitted) for row in rows("digits@1")] == [(made, 1)]


def test_each_queue_tells_how_it_stands(user: Any, digits: ModelCard, until: Any) -> None:
    process(queues=["realtime"])
    submit_digit(user, digits)
    dispatch.Sender().send([dispatch.for_job(claimed(submit_digit(user, digits)).job)])
    until(AT + 10)
    (row,), (batch,) = rows(), rows(queue="batch")
    assert (row.running, row.workers, (row.waiting or 0) + (row.unpublished or 0) >= 1) == (1, 1, True)
    assert (batch.waiting, batch.unacked, batch.unpublished, batch.workers) == (0, 0, 0, 0)


def test_for_a_time_without_a_steward_what_ended_is_known_and_how_deep_the_queue_was_is_not(
    user: Any, digits: ModelCard, until: Any
) -> None:
    until(AT + 10)
    ended(user, digits, AT + 25)
    until(AT + 40)
    assert [(row.succeeded, row.waiting is None) for row in rows()] == [(0, False), (0, True), (1, True), (0, False)]


def test_samples_from_a_wrong_clock_do_not_stop_the_sampling(until: Any) -> None:
    until(AT + 1_000_000)
    assert until(AT + 10) == 1


def test_a_frozen_redis_leaves_out_what_only_it_knows(
    redis_server: Any, user: Any, digits: ModelCard, until: Any
) -> None:
    submit_digit(user, digits)
    redis_server.send_signal(signal.SIGSTOP)
    try:
        until(AT + 10)
    finally:
        redis_server.send_signal(signal.SIGCONT)
        broker.client.cache_clear()
    (row,) = rows()
    assert (row.waiting, row.unacked, row.missing, row.running) == (None, None, None, 0)
    assert row.oldest_wait_s is not None


@pytest.mark.long  # a stretch is ten seconds
@pytest.mark.usefixtures("steward")
def test_a_steward_samples_beside_a_frozen_redis_and_misses_no_tick(redis_server: Any) -> None:
    assert eventually(lambda: ticks.age_s("steward") is not None)
    redis_server.send_signal(signal.SIGSTOP)
    ages = list[float]()
    try:
        assert eventually(lambda: ages.append(ticks.age_s("steward") or 0.0) or has_sampled_blindly(), 40.0)
    finally:
        redis_server.send_signal(signal.SIGCONT)
        broker.client.cache_clear()
    assert max(ages) < 2.0


def has_sampled_blindly() -> bool:
    return Sample.objects.filter(every_s=10, waiting=None, oldest_wait_s=None, running=0).exists()


def test_of_two_stewards_one_writes_a_stretch(
    user: Any, digits: ModelCard, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    until(AT)
    ended(user, digits, AT + 12)
    monkeypatch.setattr(samples, "settled_until", lambda: AT + 100)
    both_are_there = Barrier(2)

    def steward(_: int) -> None:
        try:
            samples.sample()
        finally:
            connection.close()

    def at_the_same_time() -> list[QueueDepth]:
        both_are_there.wait(20)
        return depths()

    monkeypatch.setattr(samples, "depths", at_the_same_time)
    with ThreadPoolExecutor(2) as both:
        list(both.map(steward, range(2)))
    assert [(row.at, row.succeeded) for row in rows()] == [(AT + s, int(s == 10)) for s in range(-10, 100, 10)]


def test_what_ends_while_we_look_is_missed_by_no_stretch(
    user: Any, digits: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its transaction commits half a second after the moment that it was given as its end."""
    monkeypatch.setattr(settling, "MARGIN_S", 0.0)
    claim, has_ended = claimed(submit_digit(user, digits)), Event()

    def end_slowly() -> None:
        try:
            with transaction.atomic():
                outcomes.finish(claim.job.pk, claim.attempt, SUCCESS)
                has_ended.set()
                Event().wait(0.5)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other:
        slow = other.submit(end_slowly)
        assert has_ended.wait(20)
        until_s = settling.settled_until()
        counted = Job.objects.filter(finished__lt=moment(until_s)).count()
        slow.result()
    assert counted == Job.objects.filter(finished__lt=moment(until_s)).count()

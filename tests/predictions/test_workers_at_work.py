"""Real workers on a real broker: what only shows between processes."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from celery import current_app
from django_celery_results.models import TaskResult

from predictions import broker, dispatch, files, outcomes, revocation, workers
from predictions.model_cards import ModelCard
from predictions.models import Chunk, Event, Job, State
from tests.conftest import StartWorker
from tests.predictions.jobs import now, rows_kept, submit_digit, submit_endless, submit_large, submit_rows
from tests.processes import end, eventually

pytestmark = pytest.mark.django_db(transaction=True)


def has_ended(job: Job) -> bool:
    return now(job).has_ended


def result_lines(job: Job) -> list[str]:
    keys = [
        files.result_key(job.pk, chunk.number, chunk.result_attempt or 0)
        for chunk in Chunk.objects.filter(job=job).order_by("number")
    ]
    return b"".join(files.read(key) for key in keys).decode().splitlines()


@pytest.mark.parametrize("pool", [("--pool=custom",), ("--pool=solo",), ("--pool=prefork", "--autoscale=2,1")])
def test_a_digit_and_a_file_are_scored_under_every_pool(
    a_worker: StartWorker, user: Any, digits: ModelCard, pool: tuple[str, ...]
) -> None:
    a_worker("realtime,batch,default", *pool)
    digit, file = submit_digit(user, digits, digit=3), submit_rows(user, digits, rows=30, parts=3)
    assert eventually(lambda: has_ended(digit) and has_ended(file))
    assert outcomes.results_of([digit.pk])[digit.pk]["label"] == "3"
    assert [line.split(",")[2] for line in result_lines(file)] == [str(row % 10) for row in range(30)]


def test_nine_goes_first_whatever_was_published_before(a_worker: StartWorker, user: Any, digits: ModelCard) -> None:
    low = [submit_digit(user, digits, priority=1) for _ in range(5)]
    high = [submit_digit(user, digits, priority=9) for _ in range(5)]
    assert eventually(lambda: broker.depths()["realtime"].waiting == 10)
    a_worker("realtime", ready=False, env={"MICRO_BATCH": "1"})
    assert eventually(lambda: all(map(has_ended, low + high)), 60)
    assert max(now(job).started for job in high) < min(now(job).started for job in low)


def test_a_plain_celery_client_gets_the_result_by_the_jobs_id(
    a_worker: StartWorker, user: Any, digits: ModelCard
) -> None:
    a_worker("realtime")
    job = submit_digit(user, digits, digit=7)
    assert current_app.AsyncResult(str(job.pk)).get(timeout=20)["class"] == 7


def test_a_revoked_job_never_runs_though_its_message_is_delivered_later(
    a_worker: StartWorker, user: Any, digits: ModelCard
) -> None:
    revoked, other = submit_digit(user, digits), submit_digit(user, digits)
    assert eventually(lambda: broker.depths()["realtime"].waiting == 2)
    revocation.revoke(revoked, user)
    a_worker("realtime")
    assert eventually(lambda: has_ended(other))
    assert (now(revoked).state, now(revoked).attempt) == (State.REVOKED, 0)


@pytest.mark.long
def test_a_message_delivered_three_times_is_worked_on_once(a_worker: StartWorker, user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    dispatch.Sender().send([dispatch.for_job(job), dispatch.for_job(job)])
    a_worker("realtime")
    assert eventually(lambda: has_ended(job) and broker.depths()["realtime"].waiting == 0)
    assert now(job).attempt == 1 and TaskResult.objects.count() == 1


@pytest.mark.long
@pytest.mark.usefixtures("steward")
def test_the_job_of_a_killed_worker_is_finished_by_another(a_worker: StartWorker, user: Any, digits: ModelCard) -> None:
    first = a_worker("batch")
    job = submit_rows(user, digits, rows=40_000, parts=8)
    assert eventually(lambda: Chunk.objects.filter(job=job, state=Chunk.State.RUNNING).exists(), every_s=0.001)
    first.send_signal(signal.SIGKILL)
    first.wait()
    a_worker("batch")
    assert eventually(lambda: has_ended(job), 60)
    assert (now(job).state, now(job).done) == (State.SUCCEEDED, 40_000)
    assert [line.split(",")[0] for line in result_lines(job)] == [str(row) for row in range(1, 40_001)]
    assert "stopped answering" in Event.objects.filter(job=job).first().text  # type: ignore[union-attr]


def test_ten_rows_of_another_are_done_while_a_large_file_runs(
    a_worker: StartWorker, user: Any, other_user: Any, digits: ModelCard
) -> None:
    a_worker("batch")
    large = submit_large(user, digits, thousands=1_500)
    assert eventually(lambda: now(large).done > 0, every_s=0.001)
    small = submit_rows(other_user, digits, rows=10)
    assert eventually(lambda: has_ended(small), 3)
    assert not has_ended(large), "the large file was done before anybody else could have a turn: make it larger"
    assert now(small).state == State.SUCCEEDED
    revocation.revoke(large, user)


@pytest.mark.long
def test_batches_of_the_same_priority_take_turns_and_a_higher_one_goes_first(
    a_worker: StartWorker, user: Any, other_user: Any, staff: Any, digits: ModelCard
) -> None:
    a_worker("batch")
    same = [submit_large(owner, digits, thousands=250) for owner in (user, other_user)]
    assert eventually(lambda: now(same[0]).done > 0, every_s=0.001)
    urgent = submit_large(staff, digits, thousands=250, priority=5)
    assert eventually(lambda: has_ended(urgent), 30, every_s=0.001)
    assert not any(map(has_ended, same))
    assert eventually(lambda: all(map(has_ended, same)), 30)
    first, second = (now(job) for job in same)
    assert first.finished and second.started and second.started < first.finished


@pytest.mark.long
@pytest.mark.usefixtures("steward")
def test_the_result_is_the_same_bytes_however_the_file_was_cut_and_whoever_died(
    a_worker: StartWorker, user: Any, digits: ModelCard
) -> None:
    alone = a_worker("batch")
    whole = submit_large(user, digits, thousands=100)
    assert eventually(lambda: has_ended(whole), 60)
    others = [a_worker("batch"), a_worker("batch")]
    small_parts = submit_large(user, digits, thousands=100, parts=61)
    assert eventually(lambda: has_ended(small_parts), 60)
    assert Chunk.objects.filter(job=small_parts).values("worker").distinct().count() == 3
    killed = submit_large(user, digits, thousands=300, parts=50)
    assert eventually(lambda: Chunk.objects.filter(job=killed, state=Chunk.State.DONE).count() > 3, every_s=0.001)
    end(alone, signal.SIGKILL)
    assert eventually(lambda: has_ended(killed), 15 + 30)
    assert others and sum(Chunk.objects.filter(job=killed).values_list("attempt", flat=True)) <= 50 + 1
    after = submit_large(user, digits, thousands=300)
    assert eventually(lambda: has_ended(after), 60)
    assert rows_kept(small_parts) == rows_kept(whole) and rows_kept(killed) == rows_kept(after)


@pytest.mark.long
@pytest.mark.usefixtures("steward")
def test_what_redis_lost_is_published_again(
    redis_server: Any, a_worker: StartWorker, user: Any, digits: ModelCard
) -> None:
    assert eventually(lambda: broker.client().exists(broker.EPOCH) == 1)
    jobs = [submit_digit(user, digits) for _ in range(5)]
    assert eventually(lambda: broker.depths()["realtime"].waiting == 5)
    broker.client().flushall()
    a_worker("realtime")
    assert eventually(lambda: all(map(has_ended, jobs)))
    assert TaskResult.objects.filter(status="SUCCESS").count() == 5


def test_a_running_batch_that_is_revoked_stops_and_keeps_its_rows(
    a_worker: StartWorker, user: Any, digits: ModelCard
) -> None:
    a_worker("batch")
    job = submit_rows(user, digits, rows=60_000, parts=12)
    assert eventually(lambda: now(job).done > 0, every_s=0.001)
    revocation.revoke(now(job), user)
    assert eventually(lambda: has_ended(job))
    assert now(job).state == State.REVOKED and 0 < now(job).done < 60_000
    assert len(result_lines_of_done(job)) == now(job).done


def result_lines_of_done(job: Job) -> list[str]:
    done = Chunk.objects.filter(job=job, state=Chunk.State.DONE).order_by("number")
    return [
        line
        for chunk in done
        for line in files.read(files.result_key(job.pk, chunk.number, chunk.result_attempt or 0)).splitlines()
    ]


def test_sigterm_lets_the_worker_finish_what_it_has_in_hand(
    a_worker: StartWorker, user: Any, digits: ModelCard
) -> None:
    worker = a_worker("batch")
    job = submit_rows(user, digits, rows=20_000, parts=2)
    assert eventually(lambda: Chunk.objects.filter(job=job, state=Chunk.State.RUNNING).exists(), every_s=0.001)
    end(worker)
    assert worker.returncode == 0
    assert not Chunk.objects.filter(job=job, state=Chunk.State.RUNNING).exists() and Job.objects.get().crashes == 0


def test_a_model_that_was_altered_is_refused_and_its_jobs_stay_queued(
    a_worker: StartWorker, user: Any, digits: ModelCard
) -> None:
    original = digits.path.read_bytes()
    try:
        digits.path.write_bytes(original + b"!")
        a_worker("realtime", ready=False)
        job = submit_digit(user, digits)
        assert eventually(lambda: any(node.first.model_state == "failed" for node in workers.nodes()), 60)
        assert "does not match its card" in workers.nodes()[0].first.model_error
        assert eventually(lambda: broker.depths()["realtime"].waiting == 0)
        assert now(job).state == State.QUEUED
    finally:
        digits.path.write_bytes(original)


@pytest.mark.long
@pytest.mark.usefixtures("steward")
def test_a_postponed_job_runs_once_the_model_is_mended(a_worker: StartWorker, user: Any, digits: ModelCard) -> None:
    original = digits.path.read_bytes()
    try:
        digits.path.write_bytes(original + b"!")
        a_worker("realtime", ready=False)
        assert eventually(lambda: any(node.first.model_state == "failed" for node in workers.nodes()), 60)
        job = submit_digit(user, digits)
        assert eventually(lambda: broker.depths()["realtime"].waiting == 0 and now(job).published is not None)
    finally:
        digits.path.write_bytes(original)
    assert eventually(lambda: has_ended(job), 30) and now(job).state == State.SUCCEEDED


def test_a_busy_worker_says_that_it_is_busy_and_keeps_its_lease(
    a_worker: StartWorker, user: Any, digits: ModelCard
) -> None:
    worker = a_worker("batch")
    job = submit_endless(user, digits)
    assert eventually(lambda: [node.state for node in workers.nodes()] == ["busy"])
    assert workers.nodes()[0].first.job == str(job.pk)
    first = Chunk.objects.get().lease_until or 0
    assert eventually(lambda: (Chunk.objects.get().lease_until or 0) > first)
    end(worker, signal.SIGKILL)


@pytest.mark.long
def test_a_worker_that_was_stopped_says_goodbye_and_one_that_was_killed_is_silent(
    a_worker: StartWorker, digits: ModelCard
) -> None:
    stopped, killed = a_worker("realtime"), a_worker("batch")
    end(stopped)
    assert eventually(lambda: [node.name.split("@")[0][:5] for node in workers.nodes()] == ["batch"])
    end(killed, signal.SIGKILL)
    assert eventually(lambda: [node.state for node in workers.nodes()] == ["silent"], 20)


@pytest.mark.long
@pytest.mark.usefixtures("steward")
def test_a_frozen_redis_does_not_hold_up_a_rescue(
    redis_server: Any, a_worker: StartWorker, user: Any, digits: ModelCard
) -> None:
    worker = a_worker("batch")
    job = submit_endless(user, digits)
    assert eventually(lambda: Chunk.objects.filter(job=job, state=Chunk.State.RUNNING).exists())
    redis_server.send_signal(signal.SIGSTOP)
    try:
        end(worker, signal.SIGKILL)
        assert eventually(lambda: Chunk.objects.filter(job=job, state=Chunk.State.RESERVED, crashes=1).exists(), 25)
    finally:
        redis_server.send_signal(signal.SIGCONT)

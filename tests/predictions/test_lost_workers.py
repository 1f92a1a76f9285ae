from __future__ import annotations

import signal
import subprocess
import time
from typing import Any

import psutil
import pytest
from celery import current_app
from django_celery_results.models import TaskResult

from predictions import broker, dispatch, lost_messages, lost_workers, recovery, revocation
from predictions.clock import Clock
from predictions.model_cards import ModelCard
from predictions.models import Chunk, Job, State, new_id
from predictions.queues import BANDS
from predictions.workers import Worker, report, say_goodbye
from tests.conftest import StartWorker
from tests.predictions.jobs import claimed, now, submit_digit, submit_endless, submit_rows
from tests.processes import end, eventually, log_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clean_redis")]


def a_silent_worker(*queues: str, prefetch: int = 4, name: str = "silent@test") -> None:
    report(name, 1, "host", {"queues": queues, "prefetch": prefetch, "started": "2026-01-01T00:00Z"})
    Worker.objects.filter(name=name).update(beat_at=Clock() - 10.0)


def publish(*jobs: Job) -> None:
    recovery.publish_due(dispatch.Sender())
    assert eventually(lambda: not Job.objects.filter(kind="realtime").exclude(publish_at=None).exists())
    assert eventually(lambda: not Chunk.objects.exclude(publish_at=None).exists())


def deliver(*jobs: Job) -> None:
    """As kombu does it: the messages leave their queue for `unacked`."""
    publish(*jobs)
    client = broker.client()
    for queue in ("realtime", "batch"):
        for band in BANDS:
            while message := client.rpop(broker.band_key(queue, *band)):
                tag, at = str(time.monotonic_ns()), time.time()
                client.hset(broker.UNACKED, tag, f'[{message.decode()}, "", "{queue}"]')
                client.zadd(broker.UNACKED_INDEX, {tag: at})


def messages_of(queue: str) -> int:
    depth = broker.depths()[queue]
    return depth.waiting + depth.unacked


def test_what_a_lost_worker_had_fetched_ahead_is_published_again_once(user: Any, digits: ModelCard) -> None:
    vector, batch = submit_digit(user, digits), submit_rows(user, digits, rows=4)
    deliver(vector, batch)
    a_silent_worker("realtime", "batch")
    assert lost_workers.publish_what_they_held() == 2
    assert recovery.publish_due(dispatch.Sender()) == 2
    for rows in (Job, Chunk):
        rows.objects.update(republished_at=1.0)
    assert lost_workers.publish_what_they_held() == 0
    assert broker.waiting_ids("realtime") == [str(vector.pk)] and messages_of("batch") == 2


def test_no_more_than_twice_its_prefetch_and_the_oldest_first(user: Any, digits: ModelCard) -> None:
    jobs = [submit_digit(user, digits) for _ in range(5)]
    deliver(*jobs)
    a_silent_worker("realtime", prefetch=1)
    assert lost_workers.publish_what_they_held() == 2
    assert [now(job).publish_at is not None for job in jobs] == [True, True, False, False, False]


def test_only_queues_it_served_and_only_what_still_waits(user: Any, digits: ModelCard) -> None:
    running, other = submit_digit(user, digits), submit_rows(user, digits, rows=4)
    deliver(running, other)
    claimed(running)
    a_silent_worker("realtime")
    assert lost_workers.publish_what_they_held() == 0


def test_a_worker_that_said_goodbye_or_beats_has_lost_nothing(user: Any, digits: ModelCard) -> None:
    deliver(submit_digit(user, digits))
    a_silent_worker("realtime")
    say_goodbye("silent@test", "host")
    report("living@test", 2, "host", {"queues": ["realtime"], "started": "2026-01-01T00:00Z"})
    assert lost_workers.publish_what_they_held() == 0


def test_one_that_comes_back_and_is_lost_again_counts_again_but_no_row_goes_twice_in_thirty_seconds(
    user: Any, digits: ModelCard
) -> None:
    job = submit_digit(user, digits)
    for again, expected in ((0.0, 1), (0.0, 0), (31.0, 1)):
        deliver(job)
        Job.objects.exclude(republished_at=None).update(republished_at=Clock() - again)
        a_silent_worker("realtime")
        assert lost_workers.publish_what_they_held() == expected


def test_the_census_sends_no_row_twice_in_thirty_seconds_either(user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    for _ in range(2):
        publish(job)
        broker.client().delete(broker.band_key("realtime", 9, 0))
        census = lost_messages.Census()
        sent = [census.check() for _ in range(lost_messages.LOOKS)]
    assert sent == [0, 0, 0]


def test_when_redis_does_not_answer_the_worker_is_looked_at_again(
    redis_server: subprocess.Popen[bytes], user: Any, digits: ModelCard
) -> None:
    deliver(submit_digit(user, digits))
    a_silent_worker("realtime")
    redis_server.send_signal(signal.SIGSTOP)
    try:
        assert lost_workers.publish_what_they_held() == 0
    finally:
        redis_server.send_signal(signal.SIGCONT)
    assert lost_workers.publish_what_they_held() == 1


@pytest.mark.long
@pytest.mark.usefixtures("steward")
def test_another_worker_does_what_a_killed_one_had_fetched_ahead_long_before_redis_gives_it_back(
    a_worker: StartWorker, user: Any, digits: ModelCard
) -> None:
    first = a_worker("batch", "--pool=prefork", "--concurrency=1", "--prefetch-multiplier=10")
    endless = submit_endless(user, digits)
    assert eventually(lambda: Chunk.objects.get(job=endless).state == Chunk.State.RUNNING)
    jobs = [submit_rows(user, digits, rows=4) for _ in range(8)]
    assert eventually(lambda: broker.depths()["batch"].unacked == 9)
    revocation.revoke(endless, user)
    end(first, signal.SIGKILL)  # its child dies with it

    a_worker("batch")
    assert eventually(lambda: all(now(job).has_ended for job in (endless, *jobs)), 40)
    # Redis still holds back all nine of the dead worker's messages, and of the others none is left.
    assert eventually(lambda: messages_of("batch") == broker.depths()["batch"].unacked == 9)
    assert {now(job).state for job in jobs} == {State.SUCCEEDED} and TaskResult.objects.count() == 9


@pytest.mark.long
@pytest.mark.usefixtures("steward")
def test_the_job_of_a_killed_prefork_child_starts_again_on_the_same_worker(
    a_worker: StartWorker, user: Any, digits: ModelCard
) -> None:
    worker = a_worker("batch", "--pool=prefork", "--concurrency=1")
    job = submit_endless(user, digits)
    assert eventually(lambda: Worker.objects.filter(job=str(job.pk)).exists())
    child = Worker.objects.get(job=str(job.pk))
    psutil.Process(child.pid).send_signal(signal.SIGKILL)

    assert eventually(lambda: Chunk.objects.get().attempt == 2, 40)
    assert (now(job).state, Chunk.objects.get().worker) == (State.RUNNING, child.name)
    assert not TaskResult.objects.exists()
    end(worker, signal.SIGKILL)


@pytest.mark.long
@pytest.mark.usefixtures("steward")
def test_a_killed_prefork_child_is_replaced_though_its_parent_has_used_the_database(
    a_worker: StartWorker, user: Any, digits: ModelCard
) -> None:
    worker = a_worker("batch", "--pool=prefork", "--concurrency=1")
    child = Worker.objects.get(ended=False)
    current_app.control.revoke(str(new_id()))  # the parent looks for a job of that id
    assert eventually(lambda: "flagged as revoked" in log_of(child.name.partition("@")[0]))
    psutil.Process(child.pid).send_signal(signal.SIGKILL)

    job = submit_endless(user, digits)
    assert eventually(lambda: now(job).state == State.RUNNING, 40)
    current_app.control.revoke(str(job.pk))  # its connection is its own, and not the child's to close
    assert eventually(lambda: now(job).revoke_requested)
    end(worker, signal.SIGKILL)

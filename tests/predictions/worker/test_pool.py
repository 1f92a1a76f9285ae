"""Our pool in a real worker: what only shows between its loop, its model thread, Redis and whoever asks it something."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from celery.exceptions import ImproperlyConfigured

from predictions import broker, bulk_revocation, dispatch, workers
from predictions.model_cards import ModelCard
from predictions.models import Job, Kind, State, new_id, utc_now
from predictions.worker.pool import Delivery, ModelPool, Turn
from tests.conftest import StartWorker
from tests.predictions.jobs import now, submit_digit, submit_rows
from tests.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def submit_many(user: Any, card: ModelCard, count: int) -> list[Job]:
    """In one go, so that they wait together."""
    vector = list(card.examples[3]["vector"])
    jobs = Job.objects.bulk_create(
        Job(
            owner=user,
            kind=Kind.REALTIME,
            model=card.ref,
            queue="realtime",
            priority=5,
            vector=vector,
            created=utc_now(),
        )
        for _ in range(count)
    )
    assert len(dispatch.Sender().send([dispatch.for_job(job) for job in jobs])) == count
    return jobs


def all_ended() -> bool:
    return not Job.objects.exclude(state=State.SUCCEEDED).exists()


def slow_worker(a_worker: StartWorker, folder: Path, forward_s: float = 0, **env: str) -> Any:
    """Each of its passes takes that long, however many vectors go through."""
    settings = {"FORWARD_S": str(forward_s), "EXECUTION_LOG": str(folder / "log"), **env}
    return a_worker("realtime", app="tests.faults.watched", env=settings)


@contextmanager
def listening() -> Iterator[Counter[str]]:
    """Counts Celery's events by their type."""
    heard, stop = Counter[str](), threading.Event()

    def listen() -> None:
        with current_app.connection_for_read() as connection:
            receiver = current_app.events.Receiver(connection, {"*": lambda event: heard.update([event["type"]])})
            while not stop.is_set():
                with suppress(TimeoutError):
                    receiver.capture(limit=None, timeout=0.5, wakeup=False)

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        yield heard
    finally:
        stop.set()
        listener.join()


def test_a_burst_is_scored_together_each_task_has_its_events_and_nothing_stays_unacknowledged(
    a_worker: StartWorker, user: Any, digits: ModelCard
) -> None:
    a_worker("realtime")
    with listening() as heard:
        assert eventually(lambda: heard["worker-heartbeat"] > 0)
        submit_many(user, digits, 200)
        assert eventually(all_ended)
        assert eventually(lambda: heard["task-succeeded"] >= 200)
    assert [heard[f"task-{what}"] for what in ("received", "started", "succeeded", "failed")] == [200, 200, 200, 0]
    assert eventually(lambda: (broker.depths()["realtime"].unacked, broker.depths()["realtime"].waiting) == (0, 0))
    assert Job.objects.filter(micro_batch__gt=8).count() > 150
    [stats] = current_app.control.inspect(timeout=5, limit=1).stats().values()
    assert sum(int(size) * times for size, times in stats["pool"]["micro-batches"].items()) == 200
    assert (stats["pool"]["runs"], workers.nodes()[0].first.processed) == ("inline", 200)


def test_a_task_that_was_revoked_while_it_waited_is_told_as_revoked_and_leaves_nothing(
    a_worker: StartWorker, user: Any, digits: ModelCard
) -> None:
    revoked = [submit_digit(user, digits) for _ in range(5)]
    run = submit_digit(user, digits)
    assert eventually(lambda: broker.depths()["realtime"].waiting == 6)
    bulk_revocation.revoke_selected([job.pk for job in revoked], user)
    with listening() as heard:
        a_worker("realtime")
        assert eventually(lambda: now(run).state == State.SUCCEEDED)
        assert eventually(lambda: heard["task-revoked"] + heard["task-succeeded"] == 6)
    assert (heard["task-revoked"], heard["task-succeeded"], heard["task-failed"]) == (5, 1, 0)
    assert eventually(lambda: (broker.depths()["realtime"].unacked, broker.depths()["realtime"].waiting) == (0, 0))


def test_full_micro_batches_follow_each_other_without_waiting_for_an_event(
    a_worker: StartWorker, user: Any, digits: ModelCard
) -> None:
    """An acknowledgement that lies until the next event stalls a worker for up to a second (facts 58)."""
    a_worker("realtime", env={"MICRO_BATCH": "4"})
    submit_many(user, digits, 80)
    assert eventually(all_ended)
    starts = sorted({job.started for job in Job.objects.all()})
    gaps_s = sorted((after - before).total_seconds() for before, after in pairwise(starts))
    assert len(gaps_s) >= 19 and gaps_s[len(gaps_s) // 2] < 0.2


def test_while_a_pass_takes_a_second_the_worker_answers_and_at_its_end_gives_back_what_it_did_not_begin(
    a_worker: StartWorker, user: Any, digits: ModelCard, tmp_path: Path
) -> None:
    worker = slow_worker(a_worker, tmp_path, 1.0, MICRO_BATCH="2")
    submit_many(user, digits, 8)
    assert eventually(lambda: Job.objects.filter(state=State.SUCCEEDED).count() >= 2)
    for _ in range(3):
        asked = time.monotonic()
        assert current_app.control.inspect(timeout=5, limit=1).ping()
        assert time.monotonic() - asked < 0.5
    assert eventually(lambda: Job.objects.filter(state=State.RUNNING).exists())
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(15) == 0
    assert not Job.objects.filter(state=State.RUNNING).exists()
    queued = Job.objects.filter(state=State.QUEUED).count()
    depth = broker.depths()["realtime"]
    assert queued > 0 and (depth.waiting, depth.unacked) == (queued, 0)


def test_a_slow_model_leaves_messages_to_another_worker_and_takes_what_is_urgent_next(
    a_worker: StartWorker, user: Any, digits: ModelCard, tmp_path: Path
) -> None:
    for _ in range(2):
        slow_worker(a_worker, tmp_path, ROW_S="0.3")
    low = submit_many(user, digits, 12)
    assert eventually(lambda: Job.objects.filter(state=State.SUCCEEDED).exists())
    urgent = submit_digit(user, digits, priority=9)
    assert eventually(all_ended)
    assert len({now(job).worker for job in low}) == 2
    assert now(urgent).started < max(now(job).started for job in low)


def test_a_slow_model_whose_pass_costs_the_same_for_all_gets_full_micro_batches(
    a_worker: StartWorker, user: Any, digits: ModelCard, tmp_path: Path
) -> None:
    slow_worker(a_worker, tmp_path, 0.15)
    jobs = submit_many(user, digits, 127)
    assert eventually(all_ended)
    turns = Counter(now(job).started for job in jobs)
    assert max(turns.values()) >= 32 and len(turns) <= 12


def test_a_batch_vectors_and_a_strangers_messages_share_a_worker(
    a_worker: StartWorker, user: Any, digits: ModelCard
) -> None:
    a_worker("realtime,batch,default")
    for task_id, args in (("no-uuid", ([0.0], digits.ref)), (str(new_id()), ()), (str(new_id()), ("x", digits.ref))):
        current_app.send_task("predictions.predict", args, task_id=task_id, queue="realtime", ignore_result=True)
    file, vectors = submit_rows(user, digits, rows=40, parts=4), submit_many(user, digits, 20)
    assert eventually(all_ended)
    assert (now(file).done, {now(job).done for job in vectors}) == (40, {1})
    assert eventually(lambda: broker.depths()["realtime"].unacked == 0)


def test_without_an_event_loop_it_says_what_it_needs() -> None:
    with pytest.raises(ImproperlyConfigured, match="event loop"):
        ModelPool(1, threads=True)


class Answers:
    """A delivery's request as far as a turn asks it."""

    id, args, type, request_dict, _payload = "x", (), "x", {}, ((), {}, {})


def test_a_task_that_ends_its_thread_is_answered_as_failed_and_the_thread_goes_on() -> None:
    def leave(*_: Any) -> None:
        raise SystemExit(3)

    plain = Turn([Delivery(Answers(), leave, print, None, 0, None)])
    plain.work()
    assert plain.returned[0] == 1 and "SystemExit(3)" in str(plain.returned[1].exception)
    task = type("Together", (), {"work_together": staticmethod(leave)})
    together = Turn([Delivery(Answers(), leave, print, task, 0, "digits@1")])
    together.work()
    assert "SystemExit(3)" in str(together.error)

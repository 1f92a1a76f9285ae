from __future__ import annotations

import threading
from datetime import datetime
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from predictions import broker, dispatch, exports, leases, lost_messages, outcomes, pausing, recovery, turns, waiting
from predictions.audit import Audit
from predictions.errors import NotFound, WrongState
from predictions.model_cards import ModelCard
from predictions.models import Chunk, Job, State, utc_now
from predictions.pauses import Pause
from predictions.tallies import Scored
from tests.conftest import StartWorker
from tests.predictions.jobs import SUCCESS, claimed, claimed_chunk, now, submit_digit, submit_rows
from tests.predictions.test_workers import a_process
from tests.processes import end, eventually, log_of
from workers_admin.depths import QueueDepth, depths

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def redis(clean_redis: None) -> None:
    """Messages are real ones."""


def depth_of(queue: str) -> QueueDepth:
    return next(depth for depth in depths() if depth.name == queue)


def eta_of(job: Job) -> tuple[float, float] | None:
    position = waiting.position(job)
    assert position
    return position.eta_s


def publish_due() -> int:
    return recovery.publish_all_due(dispatch.Sender())


def test_a_paused_queue_lets_no_vector_begin_and_a_resumed_one_does(user: Any, staff: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    pausing.pause("realtime", staff)
    assert leases.claim_job(job.pk, "realtime@test") is None
    pausing.resume("realtime", staff)
    assert leases.claim_job(job.pk, "realtime@test")


def test_other_queues_go_on(user: Any, staff: Any, digits: ModelCard) -> None:
    pausing.pause("batch", staff)
    assert leases.claim_job(submit_digit(user, digits).pk, "realtime@test")


def test_a_paused_queue_lets_no_part_begin(user: Any, staff: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=4, parts=2)
    chunk = Chunk.objects.get(job=job, number=0)
    pausing.pause("batch", staff)
    assert leases.claim_chunk(job.pk, chunk.pk, chunk.attempt, "batch@test") is None and now(job).state == State.QUEUED
    pausing.resume("batch", staff)
    assert leases.claim_chunk(job.pk, chunk.pk, chunk.attempt, "batch@test")


def test_a_batch_that_runs_finishes_the_part_in_hand_and_begins_no_other(
    user: Any, staff: Any, digits: ModelCard
) -> None:
    job = submit_rows(user, digits, rows=4, parts=2)
    claim, turn = claimed_chunk(job), turns.Turn("batch@test")
    pausing.pause("batch", staff)
    assert turns.finish_chunk(claim, Scored(), turn) == State.RUNNING
    assert turn.claim is None and turns.reserve(job.pk) == []
    pausing.resume("batch", staff)
    assert publish_due() == 1 and Chunk.objects.get(job=job, number=1).state == Chunk.State.RESERVED


def test_a_paused_queue_lets_no_file_begin(user: Any, staff: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=2)
    turns.finish_chunk(claimed_chunk(job), Scored(scored=2))
    export = exports.ask(now(job))
    pausing.pause("default", staff)
    assert leases.claim_export(job.pk, export.pk, export.attempt, "batch@test") is None
    pausing.resume("default", staff)
    assert leases.claim_export(job.pk, export.pk, export.attempt, "batch@test")


def test_the_steward_leaves_a_paused_queue_alone(user: Any, staff: Any, digits: ModelCard) -> None:
    jobs = submit_digit(user, digits), submit_rows(user, digits, rows=2)
    for queue in ("realtime", "batch"):
        pausing.pause(queue, staff)
    assert eventually(lambda: depth_of("realtime").waiting == depth_of("batch").waiting == 1)
    Job.objects.filter(kind="realtime").update(publish_at=0)
    Chunk.objects.update(publish_at=0)
    assert publish_due() == 0 and jobs
    for queue in ("realtime", "batch"):
        pausing.resume(queue, staff)
    assert publish_due() == 2


def test_what_redis_lost_meanwhile_is_published_at_the_resume(user: Any, staff: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    pausing.pause("realtime", staff)
    assert eventually(lambda: now(job).publish_at is None)
    broker.client().flushall()
    census = lost_messages.Census()
    assert [census.check() for _ in range(3)] == [0, 0, 1] and publish_due() == 0
    pausing.resume("realtime", staff)
    assert publish_due() == 1


def test_what_a_pause_refused_is_due_again_and_is_not_missed(user: Any, staff: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    pausing.pause("realtime", staff)
    assert eventually(lambda: now(job).publish_at is None)
    broker.client().flushall()  # a worker took the message and could not claim
    assert pausing.put_back_jobs([job.pk])
    depth = depth_of("realtime")
    assert (depth.unpublished, depth.missing, depth.paused) == (1, 0, True)


def test_a_publish_that_is_noted_late_does_not_undo_that(user: Any, staff: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    pausing.pause("realtime", staff)
    assert pausing.put_back_jobs([job.pk])
    dispatch.confirm([dispatch.for_job(job)], utc_now())
    pausing.resume("realtime", staff)
    assert publish_due() == 1


def test_what_somebody_else_has_is_not_put_back(user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    assert leases.claim_job(job.pk, "realtime@test")
    assert not pausing.put_back_jobs([job.pk]) and now(job).publish_at is None


def test_how_long_a_paused_queue_takes_is_not_known(user: Any, staff: Any, digits: ModelCard) -> None:
    a_process()
    claim = claimed(submit_digit(user, digits))
    outcomes.finish(claim.job_id, claim.attempt, SUCCESS)
    job = submit_digit(user, digits)
    assert eta_of(job)
    pausing.pause("realtime", staff)
    assert eta_of(job) is None


def test_a_pause_is_written_down_with_what_was_and_is(staff: Any) -> None:
    pausing.pause("batch", staff, "192.0.2.7")
    pausing.resume("batch", staff, "192.0.2.7")
    resumed, paused = Audit.objects.order_by("-pk")[:2]
    assert (paused.action, paused.subject, paused.before, paused.after) == (
        "pause queue",
        "queue batch",
        {"paused": False},
        {"paused": True},
    )
    assert (resumed.action, resumed.before, resumed.after) == ("resume queue", {"paused": True}, {"paused": False})


def test_what_changes_nothing_is_refused_and_not_written_down(staff: Any) -> None:
    with pytest.raises(WrongState, match="batch is not paused"):
        pausing.resume("batch", staff)
    pausing.pause("batch", staff)
    with pytest.raises(WrongState, match="batch is paused already"):
        pausing.pause("batch", staff)
    with pytest.raises(NotFound, match="There is no queue 'fast'; there are realtime, batch, default"):
        pausing.pause("fast", staff)
    assert Audit.objects.count() == Pause.objects.count() == 1


def test_a_pause_is_answered_only_once_the_claims_in_hand_are_decided(user: Any, staff: Any, digits: ModelCard) -> None:
    job, claims, may_end, paused = submit_digit(user, digits), list[Any](), threading.Event(), threading.Event()

    def claim_slowly() -> None:
        with transaction.atomic():
            claims.append(leases.claim_job(job.pk, "realtime@test"))
            may_end.wait(10)
        connection.close()

    def pause() -> None:
        pausing.pause("realtime", staff)
        paused.set()
        connection.close()

    threads = [threading.Thread(target=claim_slowly), threading.Thread(target=pause)]
    threads[0].start()
    assert eventually(lambda: claims)
    threads[1].start()
    assert not paused.wait(0.5)
    may_end.set()
    for thread in threads:
        thread.join()
    assert paused.is_set() and now(job).state == State.RUNNING


@pytest.mark.skipif(connection.vendor == "sqlite", reason="there the pause waits as any other writer does")
def test_a_transaction_that_does_not_end_keeps_a_pause_from_being_promised(
    user: Any, staff: Any, digits: ModelCard
) -> None:
    job, has_claimed, may_end = submit_digit(user, digits), threading.Event(), threading.Event()

    def claim_and_freeze() -> None:
        with transaction.atomic():
            leases.claim_job(job.pk, "realtime@test")
            has_claimed.set()
            may_end.wait(20)
        connection.close()

    thread = threading.Thread(target=claim_and_freeze)
    thread.start()
    assert has_claimed.wait(10)
    with pytest.raises(WrongState, match="Nothing was changed; try again"):
        pausing.pause("realtime", staff)
    may_end.set()
    thread.join()
    assert not Pause.objects.exists() and not Audit.objects.exists()


def begun_since(moment: datetime) -> int:
    return Job.objects.filter(started__gt=moment).count()


def said_by(worker: Any) -> str:
    return log_of(worker.args[worker.args.index("-n") + 1].removesuffix("@%h"))


def submit_some(user: Any, digits: ModelCard, number: int) -> list[Job]:
    return [submit_digit(user, digits, digit=n % 10) for n in range(number)]


def test_under_load_nothing_begins_while_paused_and_all_end_once_after_it(
    a_worker: StartWorker, steward: Any, user: Any, staff: Any, digits: ModelCard
) -> None:
    a_worker("realtime", env={"MICRO_BATCH": "4"})
    submit_some(user, digits, 60)
    assert eventually(lambda: Job.objects.filter(state=State.SUCCEEDED).exists())
    submit_some(user, digits, 60)
    pausing.pause("realtime", staff)
    at = utc_now()
    submit_some(user, digits, 30)
    assert eventually(lambda: not Job.objects.filter(state=State.RUNNING).exists())
    assert eventually(lambda: (depth_of("realtime").unacked, depth_of("realtime").missing) == (0, 0))
    waiting = depth_of("realtime")
    assert begun_since(at) == 0 and waiting.database_queued == (waiting.waiting or 0) + waiting.unpublished > 0
    pausing.resume("realtime", staff)
    assert eventually(lambda: Job.objects.filter(state=State.SUCCEEDED).count() == 150, 30)
    assert set(Job.objects.values_list("attempt", flat=True)) == {1}


@pytest.mark.long
@pytest.mark.parametrize("pool", ["solo", "prefork"])
def test_celerys_own_pools_keep_a_pause_too(
    a_worker: StartWorker, steward: Any, user: Any, staff: Any, digits: ModelCard, pool: str
) -> None:
    a_worker("realtime", f"--pool={pool}", "--concurrency=1")
    pausing.pause("realtime", staff)
    jobs = submit_some(user, digits, 5)
    assert eventually(lambda: (depth_of("realtime").waiting or 0) + depth_of("realtime").unpublished == 5)
    assert not eventually(lambda: Job.objects.exclude(state=State.QUEUED).exists(), 1.5)
    pausing.resume("realtime", staff)
    assert eventually(lambda: all(now(job).state == State.SUCCEEDED for job in jobs))


def test_a_pause_outlives_a_worker_and_the_steward(
    a_worker: StartWorker, steward: Any, user: Any, staff: Any, digits: ModelCard
) -> None:
    first = a_worker("realtime,batch")
    pausing.pause("realtime", staff)
    end(first)
    second = a_worker("realtime,batch")
    assert eventually(lambda: "realtime is paused" in said_by(second))
    job, other = submit_digit(user, digits), submit_rows(user, digits, rows=2)
    assert eventually(lambda: now(other).state == State.SUCCEEDED) and now(job).state == State.QUEUED
    assert depth_of("realtime").waiting == 1
    pausing.resume("realtime", staff)
    assert eventually(lambda: now(job).state == State.SUCCEEDED)


def test_whoever_submitted_is_told_of_a_pause(client: Client, user: Any, staff: Any, digits: ModelCard) -> None:
    digit, rows = submit_digit(user, digits), submit_rows(user, digits, rows=4, parts=2)
    claimed_chunk(rows)
    for queue in ("realtime", "batch"):
        pausing.pause(queue, staff)
    client.force_login(user)
    pages = [client.get(job.get_absolute_url()).content.decode() for job in (digit, rows)]
    assert "realtime is paused: the job waits until it is resumed." in pages[0]
    assert "batch is paused: the part in hand is finished" in pages[1]
    submit = client.get("/").content.decode()
    assert "realtime is paused: what you submit waits until somebody resumes it." in submit
    assert (
        "realtime is paused until somebody resumes it." in client.get(reverse("sent", args=[digit.pk])).content.decode()
    )

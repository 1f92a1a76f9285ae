"""Who may work on what: duplicates, late results, partitions, and passes that last."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from predictions import dispatch
from predictions.models import Chunk, Event, Job, State
from predictions.workers import Worker
from tests.faults import proxy
from tests.faults.report import Report
from tests.faults.sightings import (
    all_of,
    claimed_by,
    claimed_elsewhere,
    claims,
    wait_for_claims,
    wait_for_event,
)
from tests.faults.world import World, frozen
from tests.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def send_again(jobs: list[Job], times: int) -> None:
    messages = [dispatch.for_job(job) for job in jobs] * times
    assert len(dispatch.Sender().send(messages)) == len(messages)


def send_chunks_again(job: Job, times: int = 2) -> None:
    """The message of every part as it stands now, whether it is awaited or not."""
    messages = [dispatch.for_chunk(job, chunk) for chunk in job.parts.all()] * times
    assert len(dispatch.Sender().send(messages)) == len(messages)


def wait_until_taken(world: World) -> None:
    assert eventually(lambda: world.messages() == 0, 60)


@pytest.mark.parametrize(
    ("workers", "vectors", "rows"), [(1, 50, 3_000), pytest.param(3, 200, 60_000, marks=pytest.mark.long)]
)
def test_messages_that_are_delivered_three_times_are_worked_on_once(
    world: World, report: Report, workers: int, vectors: int, rows: int
) -> None:
    """Before the work, during it, and when all of it has ended."""
    world.redis(), world.web(), world.steward()
    accepted = [entry.id for entry in world.ledger.submit_digits(vectors)]
    file = world.ledger.submit_file(rows)
    assert file is not None
    jobs, batch = list(Job.objects.filter(pk__in=accepted)), Job.objects.get(pk=file.id)
    send_again(jobs, 2), send_chunks_again(batch)
    children = [world.worker("realtime,batch") for _ in range(workers)]
    while not Job.objects.filter(pk=file.id, state__in=[State.SUCCEEDED, State.FAILED]).exists():
        send_chunks_again(batch)
        time.sleep(0.2)
    wait_until_taken(world)
    send_again(jobs, 2), send_chunks_again(batch)
    wait_until_taken(world)
    cost_ms = cost_of_duplicates_ms(world, children, jobs, 5 * vectors)
    account = world.ledger.settle()
    report.add(
        f"each message delivered 3 times, {workers} worker(s)",
        account,
        None,
        messages_for_nothing=len(all_of("nothing", world)),
        duplicate_cpu_ms=cost_ms,
    )
    assert not account.faults and account.succeeded == vectors + 1
    assert len(claims(world)) == vectors + Chunk.objects.count()


def cost_of_duplicates_ms(world: World, workers: list[Any], jobs: list[Job], number: int) -> float:
    """What a message that finds nothing to do costs a worker."""
    seen = [psutil.Process(worker.pid) for worker in workers]
    before = sum(cpu_s(process) for process in seen)
    send_again(jobs, number // len(jobs))
    wait_until_taken(world)
    return (sum(cpu_s(process) for process in seen) - before) * 1000 / number


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@pytest.mark.long
def test_a_worker_frozen_for_half_a_minute_in_a_batch_spoils_nothing(world: World, report: Report) -> None:
    world.redis(), world.web(), world.steward()
    sleeper, _ = (world.worker("batch", forward_s=0.03) for _ in range(2))
    file = world.ledger.submit_file(150_000)
    assert file is not None
    assert eventually(lambda: len(claimed_by(world, sleeper.pid)) > 0, 60)
    with frozen(sleeper) as at:
        time.sleep(30)
    wait_for_event("refused", world)
    account = world.ledger.settle()
    again_s = claimed_elsewhere(world, sleeper.pid)[0].at - at
    parts = Chunk.objects.filter(job_id=file.id)
    report.add("SIGSTOP of a batch worker for 30 s", account, again_s, parts=parts.count())
    assert not account.faults and account.succeeded == account.refused_writes == 1
    assert parts.get(number=all_of("refused", world)[0].chunk).crashes == 1
    assert Event.objects.filter(job_id=file.id, text__contains="result was refused").count() == 1
    assert eventually(lambda: Worker.objects.get(pid=sleeper.pid).fenced == 1)


@contextmanager
def cut_off(redis_line: proxy.Line, database_gone: Path) -> Any:
    """Yields when it began, in seconds since 1970."""
    redis_line.cut(), database_gone.touch()
    try:
        yield time.time()
    finally:
        database_gone.unlink()
        redis_line.mend()


@pytest.mark.long
def test_a_worker_cut_off_from_all_others_loses_its_lease_and_not_the_job(
    world: World, report: Report, tmp_path: Path
) -> None:
    """It lives and works on; when the line is mended its result is refused, and it serves again."""
    world.redis(), world.web(), world.steward()
    gone = tmp_path / "gone"
    with proxy.line(world.redis_port) as line:
        far = {"REDIS_URL": f"redis://127.0.0.1:{line.port}/0", "CUT_OFF": str(gone)}
        lonely = world.worker("realtime", forward_s=15, **far)
        job = world.ledger.submit_digit()
        assert job is not None
        wait_for_claims(world, 1)
        near = world.worker("realtime")
        with cut_off(line, gone) as at:
            time.sleep(20)
        wait_for_event("refused", world)
        near.terminate()
        assert near.wait() == 0
        world.ledger.submit_digit()
        account = world.ledger.settle()
    again_s = claimed_elsewhere(world, lonely.pid)[0].at - at
    report.add("a worker cut off for 20 s", account, again_s)
    assert not account.faults and account.succeeded == 2 and account.refused_writes == 1
    assert [entry.worker_pid for entry in claims(world)] == [lonely.pid, near.pid, lonely.pid]


@pytest.mark.long
def test_a_long_pass_keeps_its_lease_though_another_worker_is_idle(world: World, report: Report) -> None:
    world.redis(), world.web(), world.steward()
    world.worker("realtime", forward_s=20)
    entry = world.ledger.submit_digit()
    assert entry is not None
    wait_for_claims(world, 1)
    world.worker("realtime", forward_s=20)
    account = world.ledger.settle()
    report.add("a pass of 20 s beside an idle worker", account, None, claims=account.executions)
    job = Job.objects.get(pk=entry.id)
    assert not account.faults and account.succeeded == account.executions == 1
    assert (job.attempt, job.crashes, job.events.count()) == (1, 0, 0)


@pytest.mark.long
def test_a_pass_that_lets_no_thread_run_is_taken_for_dead_and_still_accounted_for(world: World, report: Report) -> None:
    """The beat is a thread of the same process: C code that keeps the interpreter for longer than a lease stops it."""
    world.redis(), world.web(), world.steward()
    for _ in range(2):
        world.worker("realtime", HOLD_GIL_S="20")
    entry = world.ledger.submit_digit()
    assert entry is not None
    account = world.ledger.settle(90)
    job = Job.objects.get(pk=entry.id)
    took_s = (job.finished - job.created).total_seconds() if job.finished else None
    report.add("passes of 20 s that hold the interpreter", account, took_s, claims=account.executions)
    assert not account.faults and job.has_ended

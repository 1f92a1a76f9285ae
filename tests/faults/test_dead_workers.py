"""Workers that die, freeze or come back late."""

from __future__ import annotations

import time

import pytest

from predictions.models import OPEN, Event, Job, State
from tests.faults.executions import Execution
from tests.faults.report import Report
from tests.faults.world import Process, World, frozen, kill
from tests.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)
IN_THE_MIDDLE_S = 120.0


def claims(world: World) -> list[Execution]:
    return [entry for entry in world.executions() if entry.event == "claimed"]


def wait_for_claims(world: World, number: int, within_s: float = 60.0) -> None:
    assert eventually(lambda: len(claims(world)) >= number, within_s), world.executions()


def restarted_after_s(world: World, died: dict[int, float]) -> list[float]:
    """For each job that a dead worker held, the seconds from the death until another attempt. died: time by pid."""
    held = {entry.job: died[entry.worker_pid] for entry in claims(world) if entry.worker_pid in died}
    again = {entry.job: entry.at for entry in claims(world) if entry.worker_pid not in died}
    return [again[job] - at for job, at in held.items()]


@pytest.mark.parametrize("rounds", [1, pytest.param(5, marks=pytest.mark.long)])
def test_the_jobs_of_killed_workers_start_again_elsewhere(world: World, report: Report, rounds: int) -> None:
    """Two workers a round, killed at different moments of their lease."""
    world.redis(), world.web(), world.steward()
    died: dict[int, float] = {}
    for number in range(rounds):
        victims = [world.worker("realtime", forward_s=IN_THE_MIDDLE_S, ready=False) for _ in range(2)]
        survivor = start_beside(world, victims, number)
        for victim in victims:
            died[victim.pid] = kill(victim)
            time.sleep(0.7 * number)
        assert eventually(lambda: not Job.objects.filter(state__in=OPEN).exists(), 40), world.executions()
        kill(survivor)
    account = world.ledger.settle()
    report.add(f"kill -9 of a worker in mid-job x{len(died)}", account, max(restarted_after_s(world, died)))
    assert not account.faults and account.succeeded == account.accepted == len(died)
    assert max(restarted_after_s(world, died)) < 15  # the promise itself


def start_beside(world: World, victims: list[Process], number: int) -> Process:
    """A healthy worker, started when each victim is in the middle of a job."""
    assert len(world.ledger.submit_digits(len(victims))) == len(victims)
    wait_for_claims(world, (number + 1) * len(victims) + number * len(victims))
    return world.worker("realtime")


def test_a_frozen_worker_that_comes_back_finds_its_attempt_fenced_off(world: World, report: Report) -> None:
    world.redis(), world.web(), world.steward()
    sleeper = world.worker("realtime", forward_s=4)
    job = world.ledger.submit_digit()
    assert job is not None
    wait_for_claims(world, 1)
    with frozen(sleeper) as at:
        world.worker("realtime")
        wait_for_claims(world, 2)
        assert eventually(lambda: Job.objects.filter(pk=job.id, state=State.SUCCEEDED).exists())
    assert eventually(lambda: any(entry.event == "refused" for entry in world.executions()))
    account = world.ledger.settle()
    report.add("SIGSTOP of a worker, then SIGCONT", account, claims(world)[1].at - at)
    assert not account.faults and account.refused_writes == 1
    assert Event.objects.filter(job_id=job.id, text__contains="stopped answering").count() == 1

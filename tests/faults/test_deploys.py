"""Workers that are told to end and started anew while the work goes on, as a deploy does."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack

import pytest

from predictions.models import Chunk, Job, Kind
from tests.faults.executions import Execution
from tests.faults.report import Report
from tests.faults.test_dead_workers import claims
from tests.faults.world import Process, World, repeating
from tests.processes import START_S, eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
ROUNDS = 6
ROWS = 600_000
A_PASS_S = {"realtime": 0.05, "batch": 0.003}
DRAINS_WITHIN_S = 300.0


def test_a_deploy_under_load_wastes_no_attempt(world: World, report: Report) -> None:
    world.redis(), world.web(), world.steward()
    crew, pauses_s = start(world), list[float]()
    assert world.ledger.submit_file(ROWS)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(repeating(world.ledger.submit_digit, every_s=0.5))
        for _ in range(ROUNDS):
            assert eventually(lambda: are_busy(world, crew), START_S)  # noqa: B023 - it is asked within the round
            told_at = time.time()
            end_all(crew)
            crew = start(world)
            assert eventually(lambda: are_busy(world, crew), START_S)  # noqa: B023
            pauses_s.append(min(entry.at for entry in claims_of(world, crew)) - told_at)
    account = world.ledger.settle(DRAINS_WITHIN_S)
    chunks = Chunk.objects.count()
    report.add(f"SIGTERM of all workers under load x{ROUNDS}", account, max(pauses_s), chunks=chunks)
    assert not account.faults and account.refused_writes == 0 and not world.ledger.refused
    assert not Job.objects.exclude(crashes=0).exists() and not Chunk.objects.exclude(crashes=0).exists()
    assert not Job.objects.filter(kind=Kind.REALTIME).exclude(attempt=1).exists()
    assert account.executions == account.accepted - 1 + chunks  # each vector and each chunk was begun once


def start(world: World) -> list[Process]:
    queues = ("realtime", "realtime", "batch")
    return [world.worker(queue, forward_s=A_PASS_S[queue], ready=False) for queue in queues]


def end_all(crew: list[Process]) -> None:
    for worker in crew:
        worker.send_signal(signal.SIGTERM)
    assert [worker.wait(60) for worker in crew] == [0] * len(crew)


def claims_of(world: World, crew: list[Process]) -> list[Execution]:
    pids = {worker.pid for worker in crew}
    return [entry for entry in claims(world) if entry.worker_pid in pids]


def are_busy(world: World, crew: list[Process]) -> bool:
    """Each of them has claimed something."""
    return {entry.worker_pid for entry in claims_of(world, crew)} == {worker.pid for worker in crew}

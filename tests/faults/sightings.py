"""What a test reads out of the execution log: who claimed what, when the work went on, how many messages were for nothing."""

from __future__ import annotations

import time
from uuid import UUID

from predictions.models import Job
from tests.faults.executions import Execution
from tests.faults.world import World
from tests.processes import eventually


def all_of(event: str, world: World) -> list[Execution]:
    return [entry for entry in world.executions() if entry.event == event]


def claims(world: World) -> list[Execution]:
    return all_of("claimed", world)


def wait_for_claims(world: World, number: int, within_s: float = 60.0) -> None:
    assert eventually(lambda: len(claims(world)) >= number, within_s), world.executions()


def wait_for_event(event: str, world: World, number: int = 1, within_s: float = 60.0) -> None:
    assert eventually(lambda: len(all_of(event, world)) >= number, within_s), world.executions()


def claimed_by(world: World, pid: int) -> list[Execution]:
    return [entry for entry in claims(world) if entry.worker_pid == pid]


def claimed_elsewhere(world: World, pid: int) -> list[Execution]:
    """Claims of what this process had claimed before, by others."""
    held = {(entry.job, entry.chunk) for entry in claimed_by(world, pid)}
    return [entry for entry in claims(world) if (entry.job, entry.chunk) in held and entry.worker_pid != pid]


def last_write_at(world: World) -> float:
    return max(entry.at for entry in all_of("accepted", world))


def rescued_after_s(job_id: UUID, killed: float) -> float:
    """Seconds until the steward gave it to whoever is free; by the test's own clock, and whether or not somebody is."""
    assert eventually(lambda: Job.objects.get(pk=job_id).crashes == 1, 60)
    return time.time() - killed


def longest_wait_s(ids: set[str]) -> float:
    """The longest that one of these jobs took from its acceptance to its end."""
    jobs = Job.objects.filter(pk__in=ids)
    return max((job.finished - job.created).total_seconds() for job in jobs if job.finished)

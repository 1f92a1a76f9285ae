"""A worker that gets no more memory."""

from __future__ import annotations

import resource
import time

import psutil
import pytest

from predictions.models import Job, State
from tests.faults.report import Report
from tests.faults.sightings import last_write_at
from tests.faults.test_poison import kept_running
from tests.faults.world import Process, World

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
MB = 1024**2
HONEST = {"device_error", "worker_error", "workers_died"}


def allow_no_more_than(child: Process, more_mb: int) -> None:
    """Beyond what it has asked the system for until now."""
    most = psutil.Process(child.pid).memory_info().vms + more_mb * MB
    resource.prlimit(child.pid, resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


@pytest.mark.parametrize("more_mb", [0, 8])
def test_a_worker_without_memory_loses_no_batch(world: World, report: Report, more_mb: int) -> None:
    """It ends, by smaller slices, by another try, or with the sentence that says why."""
    world.redis(), world.web(), world.steward()
    with kept_running(1, lambda: world.worker("realtime,batch")) as workers:
        allow_no_more_than(workers[0], more_mb)
        limited = time.time()
        file = world.ledger.submit_file(100_000)
        vectors = world.ledger.submit_digits(20)
        assert file is not None
        account = world.ledger.settle(120)
    job = Job.objects.get(pk=file.id)
    figures = {"workers_died": len(workers) - 1, "retries": job.retries, "crashes": job.crashes}
    report.add(f"a worker with {more_mb} MB more, and no more", account, last_write_at(world) - limited, **figures)
    assert not account.faults and account.accepted == 1 + len(vectors)
    for failed in Job.objects.filter(state=State.FAILED):
        assert failed.error["code"] in HONEST and failed.error["message"]

"""Celery's own `--autoscale` on a prefork worker, with our tasks."""

from __future__ import annotations

import subprocess
from typing import Any

import psutil
import pytest

from predictions import workers
from predictions.model_cards import ModelCard
from predictions.models import Job, State
from tests.conftest import StartWorker
from tests.predictions.jobs import submit_digit, submit_large
from tests.processes import eventually, log_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


def children(worker: subprocess.Popen[bytes]) -> int:
    return len(psutil.Process(worker.pid).children())


def said(worker: subprocess.Popen[bytes]) -> str:
    (name,) = {row.name.partition("@")[0] for row in workers.Worker.objects.all()}
    return log_of(name)


def test_a_prefork_worker_grows_under_load_and_shrinks_after_it_and_each_job_has_one_attempt(
    a_worker: StartWorker, user: Any, digits: ModelCard
) -> None:
    worker = a_worker("realtime,batch", "--pool=prefork", "--autoscale=8,2", env={"AUTOSCALE_KEEPALIVE": "3"})
    assert children(worker) == 2
    submit_large(user, digits, thousands=30, parts=6)
    for _ in range(300):
        submit_digit(user, digits)
    assert eventually(lambda: children(worker) == 8, 60)
    assert eventually(lambda: not Job.objects.exclude(state=State.SUCCEEDED).exists(), 90)
    assert eventually(lambda: children(worker) == 2, 60)
    assert set(Job.objects.filter(kind="realtime").values_list("attempt", flat=True)) == {1}
    assert eventually(lambda: [len(node.processes) for node in workers.nodes()] == [2])
    assert "prematurely" not in said(worker) and said(worker).count("Scaling down") <= 2

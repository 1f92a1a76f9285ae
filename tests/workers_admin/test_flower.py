"""Celery's own tools and a real Flower beside us: what they count is what we count."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import pytest

from predictions import revocation, workers
from predictions.model_cards import ModelCard
from predictions.models import Job, State
from tests.conftest import StartWorker, database
from tests.predictions.jobs import submit_digit, submit_endless, submit_rows
from tests.processes import ROOT, START_S, database_env, end, eventually, log_of, running
from tests.surroundings import free_port

pytestmark = pytest.mark.long
JOBS = 200
CELERY = [sys.executable, "-m", "celery", "-A", "inference_site"]


def celery_says(*words: str) -> Any:
    done = subprocess.run([*CELERY, *words, "--json"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[0])  # `status` adds how many there are


class Flower:
    def __init__(self, address: str) -> None:
        self._address = address

    def get(self, path: str) -> Any:
        with urlopen(f"{self._address}{path}", timeout=10) as answer:
            return json.load(answer)

    @property
    def is_up(self) -> bool:
        try:
            self.get("/api/workers")
        except OSError:
            return False
        return True

    @property
    def workers(self) -> dict[str, Any]:
        """The rows of its page of workers, by name."""
        return {worker["hostname"]: worker for worker in self.get("/workers?json=1")["data"]}

    def states(self) -> Counter[str]:
        return Counter(task["state"] for task in self.get("/api/tasks?limit=10000").values())


@pytest.fixture
def flower(transactional_db: None, clean_redis: None) -> Iterator[Flower]:
    port = free_port()
    command = [*CELERY, "flower", "--address=127.0.0.1", f"--port={port}"]
    env = {**database_env(database()), "FLOWER_UNAUTHENTICATED_API": "true"}
    with running("flower", command, env):
        flower = Flower(f"http://127.0.0.1:{port}")
        assert eventually(lambda: flower.is_up, START_S), log_of("flower")
        yield flower


def test_flower_counts_what_we_count_after_200_jobs(
    flower: Flower, a_worker: StartWorker, user: Any, digits: ModelCard
) -> None:
    a_worker("realtime")
    a_worker("batch")
    assert eventually(lambda: len(flower.workers) == 2), log_of("flower")
    for number in range(JOBS):
        if number % 10:
            submit_digit(user, digits)
        else:
            submit_rows(user, digits, rows=10)
    assert eventually(lambda: Job.objects.filter(state=State.SUCCEEDED).count() == JOBS)
    assert eventually(lambda: flower.states() == {"SUCCESS": JOBS}), flower.states()
    ours = {node.name: int(node.total("processed")) for node in workers.nodes()}
    assert eventually(lambda: sum(node.total("processed") for node in workers.nodes()) == JOBS), ours
    counted = {node.name: int(node.total("processed")) for node in workers.nodes()}
    assert {name: worker["task-succeeded"] for name, worker in flower.workers.items()} == counted
    assert {name: worker["task-received"] for name, worker in flower.workers.items()} == counted


def test_celerys_own_commands_show_our_workers_and_what_they_do(
    a_worker: StartWorker, user: Any, digits: ModelCard
) -> None:
    child = a_worker("batch")
    (node,) = workers.nodes()
    assert celery_says("status") == {node.name: {"ok": "pong"}}
    job = submit_endless(user, digits)
    assert eventually(lambda: [node.state for node in workers.nodes()] == ["busy"])
    (task,) = celery_says("inspect", "active")[node.name]
    assert (task["name"], task["args"][0], task["hostname"]) == ("predictions.score_chunk", str(job.pk), node.name)
    queues = celery_says("inspect", "active_queues")[node.name]
    assert [queue["name"] for queue in queues] == ["batch"]
    revocation.revoke(job, user)
    end(child)

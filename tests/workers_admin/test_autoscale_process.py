"""A real autoscaler that starts real workers."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.db import connection

from predictions import workers
from predictions.audit import Audit
from predictions.model_cards import ModelCard
from predictions.models import Job
from tests import processes
from tests.predictions.jobs import submit_digit, submit_rows
from tests.processes import eventually, log_of
from workers_admin import launching
from workers_admin.models import Scaler

Start = Callable[..., subprocess.Popen[bytes]]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
QUICK = ("--idle", "3", "--cool-down", "1")
DIES = "import sys\nif 'worker' in sys.orig_argv:\n    sys.exit(3)\n"
_numbers = count(1)
_names: dict[int, str] = {}


@pytest.fixture
def autoscaler(transactional_db: None, clean_redis: None, model_dir: Path) -> Iterator[Start]:
    """On the test database; whatever workers it leaves behind are ended."""
    with ExitStack() as stack:
        stack.callback(_end_what_is_left)

        def start(*options: str, queue: str = "realtime", env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
            command = processes.manage_command("autoscale", "--queue", queue, *options)
            database = processes.database_env(str(connection.settings_dict["NAME"]))
            name = f"autoscaler{next(_numbers)}"
            child = stack.enter_context(processes.running(name, command, {**database, **(env or {})}))
            _names[child.pid] = name
            return child

        yield start


def said(child: subprocess.Popen[bytes]) -> str:
    return log_of(_names[child.pid])


def _end_what_is_left() -> None:
    for row in Scaler.objects.all():
        for worker in launching.find(row.workers):
            launching.end(worker, signal.SIGKILL)


def ready(queue: str = "realtime") -> list[str]:
    return [node.name for node in workers.live_workers(queue) if node.is_ready and node.state != "stopping"]


def its_workers() -> list[dict[str, Any]]:
    return [worker for row in Scaler.objects.filter(ended=False) for worker in row.workers]


def standing() -> str:
    row = Scaler.objects.order_by("pk").last()
    return row.standing if row else "\n".join(map(log_of, _names.values()))


def audited(action: str) -> int:
    return Audit.objects.filter(who_name="autoscaler", action=action).count()


def test_it_grows_under_load_and_drains_when_idle_and_every_job_has_one_attempt(
    autoscaler: Start, user: Any, digits: ModelCard
) -> None:
    for _ in range(60):
        submit_digit(user, digits)
    child = autoscaler("--min", "0", "--max", "2", "--threshold", "10", *QUICK)
    assert eventually(lambda: len(ready()) == 2, 60), standing()
    assert eventually(lambda: not Job.objects.exclude(state="succeeded").exists(), 30)
    assert eventually(lambda: not its_workers(), 40), standing()
    assert set(Job.objects.values_list("attempt", flat=True)) == {1}
    assert (audited("start worker"), audited("drain worker")) == (2, 2)
    processes.end(child)
    assert child.returncode == 0


def test_the_worker_that_drains_finishes_the_batch_in_hand(autoscaler: Start, user: Any, digits: ModelCard) -> None:
    child = autoscaler("--min", "1", "--max", "1", *QUICK, queue="batch")
    assert eventually(lambda: ready("batch"), 60), standing()
    job = submit_rows(user, digits, rows=60_000, parts=30)
    assert eventually(lambda: Job.objects.filter(pk=job.pk, state="running").exists(), 20, 0.005)
    processes.end(child)
    assert child.returncode == 0 and not its_workers()
    assert set(job.parts.values_list("crashes", "attempt")) <= {(0, 0), (0, 1)}
    assert Scaler.objects.get().ended and audited("drain worker") == 1


def test_workers_of_a_killed_autoscaler_go_on_and_the_next_one_adopts_them(autoscaler: Start) -> None:
    child = autoscaler("--min", "1", "--max", "2", *QUICK)
    assert eventually(ready, 60), standing()
    (worker,) = its_workers()
    child.kill()
    child.wait()
    again = autoscaler("--min", "1", "--max", "2", *QUICK)
    assert eventually(lambda: audited("adopt worker") == 1 and standing().startswith("Holds"))
    assert [each["pid"] for each in its_workers()] == [worker["pid"]] and ready() == [worker["name"]]
    processes.end(again)
    assert not launching.exists(worker["pid"])


def test_a_killed_worker_is_replaced_under_the_same_name_on_the_same_gpu(autoscaler: Start) -> None:
    autoscaler("--min", "1", "--max", "2", "--gpus", "5,6", *QUICK)
    assert eventually(ready, 60), standing()
    (worker,) = its_workers()
    assert psutil.Process(worker["pid"]).environ()["CUDA_VISIBLE_DEVICES"] == worker["gpu"] == "5"
    os.kill(worker["pid"], signal.SIGKILL)
    assert eventually(lambda: audited("start worker") == 2), standing()
    assert eventually(lambda: its_workers() and its_workers()[0]["pid"] not in {None, worker["pid"]})
    (replaced,) = its_workers()
    assert (replaced["name"], replaced["gpu"]) == (worker["name"], "5")


def test_a_second_autoscaler_of_a_queue_is_refused_and_a_dry_run_is_not(autoscaler: Start) -> None:
    first = autoscaler("--min", "0", "--max", "1")
    assert eventually(lambda: Scaler.objects.filter(standing__startswith="Holds").exists(), 30)
    second = autoscaler("--min", "0", "--max", "1")
    assert second.wait(30) == 1
    assert f"An autoscaler of realtime runs on this host already, process {first.pid}." in said(second)
    dry = autoscaler("--min", "1", "--max", "1", "--dry-run")
    assert eventually(lambda: "Dry run: Starts 1 worker" in said(dry), 30)
    processes.end(dry)
    assert Scaler.objects.filter(is_dry_run=False).count() == 1


def test_a_worker_that_dies_at_its_start_is_not_started_in_a_loop(autoscaler: Start, tmp_path: Path) -> None:
    Path(tmp_path, "sitecustomize.py").write_text(DIES)
    autoscaler("--min", "1", "--max", "2", *QUICK, env={"PYTHONPATH": str(tmp_path)})
    assert eventually(lambda: "a worker died at its start, 2 times in a row." in standing(), 40), standing()
    assert audited("start worker") == 2
    assert not eventually(lambda: audited("start worker") > 2, 6)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ("--min", "3", "--max", "2"),
            "--min 3 --max 2 cannot be used: give 0 or more, and --max at least 1 and --min.",
        ),
        (("--threshold", "0"), "--threshold 0 cannot be used: give 1 or more."),
        (("--max", "4", "--gpus", "0,1"), "--max 4 cannot be used with --gpus 0,1: give at most 2, one worker each."),
        (("--max", "2", "--gpus", "0,0"), "--gpus 0,0 cannot be used: it names one twice, and a GPU has one worker."),
        (("--idle", "-1"), "--idle and --cool-down cannot be used: give seconds, 0 or more."),
    ],
)
def test_what_cannot_be_used_is_refused(autoscaler: Start, options: tuple[str, ...], sentence: str) -> None:
    child = autoscaler(*options)
    assert child.wait(30) == 1
    assert sentence in said(child) and not Scaler.objects.exists()

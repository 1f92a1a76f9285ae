"""Hard time limits: what ends, what goes on, and what becomes of the job."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from typing import Any

import pytest
from django_celery_results.models import TaskResult

from predictions import dispatch, recovery, submission
from predictions.model_cards import ModelCard
from predictions.models import Job, State
from predictions.submission import Wishes
from tests import processes
from tests.conftest import StartWorker, database
from tests.predictions.jobs import lapse, now, submit_digit, submit_endless, submit_rows
from tests.predictions.worker.hung_models import HANGS, WAITS
from tests.processes import ROOT, eventually

pytestmark = pytest.mark.django_db(transaction=True)


def has_ended(job: Job) -> bool:
    return now(job).has_ended


def test_past_the_hard_limit_of_its_queue_the_job_fails_and_the_worker_ends_itself(
    a_worker: StartWorker, user: Any, digits: ModelCard
) -> None:
    worker = a_worker("batch", env={"BATCH_TIME_LIMIT": "2"})
    job = submit_endless(user, digits)
    assert eventually(lambda: worker.poll() is not None, 30) and worker.returncode == 75
    assert (now(job).error or {})["code"] == "time_limit" and TaskResult.objects.get().status == "FAILURE"


@pytest.mark.long
def test_under_prefork_the_child_ends_and_a_new_one_serves_the_next_job(
    a_worker: StartWorker, user: Any, digits: ModelCard
) -> None:
    worker = a_worker("batch", "--pool=prefork", "--concurrency=1", env={"BATCH_TIME_LIMIT": "2"})
    stuck, following = submit_endless(user, digits), submit_rows(user, digits, rows=10)
    assert eventually(lambda: has_ended(stuck) and has_ended(following), 30)
    assert ((now(stuck).error or {})["code"], now(following).state) == ("time_limit", State.SUCCEEDED)
    assert worker.poll() is None and TaskResult.objects.count() == 2


@pytest.mark.long
def test_a_worker_whose_interpreter_is_held_for_ever_is_ended_and_its_job_rescued(
    clean_redis: None, user: Any, digits: ModelCard
) -> None:
    command = processes.worker_command("realtime", "hung", app="tests.predictions.worker.hung_models")
    vector = [HANGS, *digits.examples[0]["vector"][1:]]
    job, _ = submission.submit_vector(user, vector, digits, Wishes())
    env = {**processes.database_env(database()), "REALTIME_TIME_LIMIT": "2"}
    with processes.running("hung", command, env) as worker:
        assert eventually(lambda: worker.poll() is not None, 60), processes.log_of("hung")
    assert worker.returncode == 1 and "in forward" in processes.log_of("hung").partition("Timeout (")[2]
    lapse(job)
    recovery.reap()
    assert (now(job).state, now(job).crashes) == (State.QUEUED, 1)


@pytest.mark.long
def test_a_vector_without_an_end_ends_its_group_for_nobody_and_then_itself_alone(
    a_worker: StartWorker, user: Any, digits: ModelCard
) -> None:
    """The first process that it hangs fails none of the five; each is scored alone by the next, which it ends as well."""

    def hung_worker() -> Any:
        return a_worker("realtime", app="tests.predictions.worker.hung_models", env={"REALTIME_TIME_LIMIT": "2"})

    worker = hung_worker()
    for _ in range(3):  # it learns its pace
        assert eventually(partial(has_ended, submit_digit(user, digits)))
    worker.send_signal(signal.SIGSTOP)  # so that they wait together
    vector = list(digits.examples[0]["vector"])
    endless, _ = submission.submit_vector(user, [WAITS, *vector[1:]], digits, Wishes(priority=1))
    neighbours = [submit_digit(user, digits) for _ in range(4)]
    together = [endless, *neighbours]
    assert eventually(lambda: not Job.objects.filter(state=State.QUEUED, published=None).exists())
    worker.send_signal(signal.SIGCONT)
    assert eventually(lambda: worker.poll() is not None, 30) and worker.returncode == 75
    assert [(now(job).state, now(job).attempt) for job in together] == [(State.RUNNING, 1)] * 5

    for job in together:
        lapse(job)
    recovery.reap()
    assert [(now(job).state, now(job).crashes) for job in together] == [(State.QUEUED, 1)] * 5
    recovery.publish_due(dispatch.Sender())
    worker = hung_worker()
    assert eventually(lambda: worker.poll() is not None, 30) and worker.returncode == 75
    assert (now(endless).error or {})["code"] == "time_limit"
    assert [(now(job).state, now(job).micro_batch) for job in neighbours] == [(State.SUCCEEDED, 1)] * 4


LONGER = 'beat.hold(VectorClaim(UUID(int=2), 1, "batch"))'


def held_for_long(how: str, database_url: str = "sqlite://", also: str = "") -> subprocess.CompletedProcess[str]:
    """A process that holds a claim, and `also` another with more time, and goes on past the limit of the first."""
    code = f"""
import time, django; django.setup()
from django.conf import settings
from uuid import UUID
from predictions.leases import VectorClaim
from predictions.worker import last_resort
from predictions.worker.beat import beat
settings.REALTIME_TIME_LIMIT, settings.BATCH_TIME_LIMIT, last_resort.MARGIN_S = 0.1, 60, 0.9
beat.hold(VectorClaim(UUID(int=1), 1, "realtime"))
{also}
beat.start()
{how}
"""
    return run_python(code, database_url)


def run_python(code: str, database_url: str = "sqlite://") -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "inference_site.settings", "DATABASE_URL": database_url}
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, timeout=30)


def test_a_group_that_does_not_end_is_failed_by_nobody_and_the_process_ends() -> None:
    done = held_for_long("time.sleep(20)", "sqlite:////nowhere/at-all.sqlite3", also=LONGER)
    assert (done.returncode, done.stderr) == (75, "")


def test_the_last_resort_is_set_for_what_must_end_first() -> None:
    done = held_for_long("sum(range(10**15))", also=LONGER)
    assert done.returncode == 1 and "Timeout (0:00:0" in done.stderr


def test_a_database_that_is_away_at_the_limit_does_not_keep_the_process() -> None:
    done = held_for_long("time.sleep(20)", "sqlite:////nowhere/at-all.sqlite3")
    assert done.returncode == 1
    assert "unable to open database file" in done.stderr.partition("Timeout (")[0]


COUNT_THREADS = """
import time
from pathlib import Path
from uuid import UUID
import django; django.setup()
from predictions.leases import VectorClaim
from predictions.worker.beat import Beat

held, first, second = Beat(), VectorClaim(UUID(int=1), 1, "realtime"), VectorClaim(UUID(int=2), 1, "batch")
for act in (lambda: None, lambda: held.hold(first, second), lambda: held.drop(first), lambda: held.drop(second)):
    act()
    time.sleep(0.1)  # the kernel takes a moment to forget a thread that has ended
    print(len(list(Path("/proc/self/task").iterdir())))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts the threads that Python does not know of")
def test_the_last_resort_is_called_off_when_nothing_is_held_any_more() -> None:
    before, both, one, none = map(int, run_python(COUNT_THREADS).stdout.split())
    assert (both, one, none) == (before + 1, before + 1, before)

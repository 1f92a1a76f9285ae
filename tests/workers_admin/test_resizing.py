from __future__ import annotations

import signal
import subprocess
from typing import Any

import psutil
import pytest

from predictions import revocation, workers
from predictions.audit import Audit
from predictions.errors import InvalidInput, WrongState
from predictions.model_cards import ModelCard
from predictions.workers import Worker
from tests.conftest import StartWorker
from tests.predictions.jobs import now, submit_digit, submit_endless
from tests.processes import end, eventually
from tests.workers_admin.facts import process
from tests.workers_admin.test_serving import has_ended, the_one
from workers_admin import resizing

PREFORK = {"pool": "prefork", "may_resize": True, "pool_size": 2}


def children(worker: subprocess.Popen[bytes]) -> int:
    return len(psutil.Process(worker.pid).children())


@pytest.mark.django_db
def test_a_pool_is_asked_to_grow_and_it_is_audited(staff: Any) -> None:
    process(**PREFORK)
    assert resizing.grow("realtime@here", staff) == "realtime@here grows to 3 processes."
    assert Worker.objects.get().pool_asked == 3
    row = Audit.objects.get()
    assert (row.action, row.before, row.after) == ("grow pool", {"processes": 2}, {"processes": 3})


@pytest.mark.django_db
def test_a_pool_is_asked_to_shrink_down_to_one_process(staff: Any) -> None:
    process(**PREFORK)
    assert resizing.shrink("realtime@here", staff) == "realtime@here shrinks to 1 process."
    with pytest.raises(InvalidInput, match="A pool of 0 processes was asked for; 1 to 64 are allowed"):
        resizing.shrink("realtime@here", staff)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"pool": "custom"}, "it has the pool custom"),
        ({"pool": "prefork"}, "Celery's autoscaler sets its size"),
    ],
)
def test_a_pool_that_cannot_change_is_not_asked(staff: Any, facts: dict[str, Any], why: str) -> None:
    process(**facts)
    with pytest.raises(WrongState, match=why):
        resizing.grow("realtime@here", staff)
    assert not Audit.objects.exists()


@pytest.mark.long
def test_a_pool_grows_and_shrinks_by_processes_that_work_and_say_goodbye(
    a_worker: StartWorker, user: Any, staff: Any, digits: ModelCard
) -> None:
    worker = a_worker("realtime", "--pool=prefork", "--concurrency=1")
    resizing.grow(the_one(), staff)
    assert eventually(lambda: children(worker) == 2)
    assert eventually(lambda: len(workers.nodes()[0].processes) == 2 and workers.nodes()[0].first.pool_size == 2)
    jobs = [submit_digit(user, digits) for _ in range(20)]
    assert eventually(lambda: all(map(has_ended, jobs)))
    resizing.shrink(the_one(), staff)
    assert eventually(lambda: children(worker) == 1)
    assert eventually(
        lambda: len(workers.nodes()[0].processes) == 1 and Worker.objects.filter(ended=False).count() == 1
    )
    assert eventually(lambda: Worker.objects.get(ended=False).pool_asked is None)


@pytest.mark.long
def test_a_pool_whose_processes_are_all_busy_shrinks_once_one_is_not(
    a_worker: StartWorker, user: Any, staff: Any, digits: ModelCard
) -> None:
    worker = a_worker("batch", "--pool=prefork", "--concurrency=2")
    endless = [submit_endless(user, digits), submit_endless(user, digits)]
    assert eventually(lambda: Worker.objects.filter(ended=False, state="busy").count() == 2)
    resizing.shrink(the_one(), staff)
    assert not eventually(lambda: children(worker) == 1, 5)
    assert all(not now(job).has_ended for job in endless)
    busy = Worker.objects.filter(ended=False, state="busy").first()
    assert busy
    revocation.revoke(endless[0], user)
    psutil.Process(busy.pid).send_signal(signal.SIGKILL)  # Celery replaces it by an idle one, and takes that away
    assert eventually(lambda: children(worker) == 1)
    end(worker, signal.SIGKILL)


@pytest.mark.long
def test_a_worker_under_celerys_autoscaler_says_that_its_size_is_not_ours(a_worker: StartWorker, staff: Any) -> None:
    a_worker("realtime", "--pool=prefork", "--autoscale=2,1")
    with pytest.raises(WrongState, match="autoscaler"):
        resizing.grow(the_one(), staff)

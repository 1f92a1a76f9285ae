from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from predictions import broker, revocation, workers
from predictions.audit import Audit
from predictions.model_cards import ModelCard
from predictions.models import Chunk, Job, utc_now
from predictions.pauses import Pause
from tests.predictions.jobs import submit_digit, submit_rows
from tests.processes import eventually
from tests.workers_admin.facts import process
from workers_admin import launching, scaler_rows
from workers_admin.autoscaling import Rules
from workers_admin.launching import Launched
from workers_admin.models import Scaler
from workers_admin.scaling import Autoscaler, depth_of

pytestmark = pytest.mark.django_db(transaction=True)
RULES = Rules(least=1, most=3, threshold=2)


@pytest.fixture(autouse=True)
def redis(clean_redis: None) -> None:
    """Messages are real ones."""


def a_dry_run(queue: str = "realtime", **rules: Any) -> Autoscaler:
    return Autoscaler(queue, Rules(**{**vars(RULES), **rules}), is_dry_run=True)


def published(*jobs: Job) -> None:
    assert eventually(lambda: not Job.objects.filter(pk__in=[job.pk for job in jobs]).exclude(publish_at=None).exists())


def a_dead_process() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_what_waits_in_other_bands_counts_where_llen_alone_sees_nothing(user: Any, digits: ModelCard) -> None:
    published(*[submit_digit(user, digits, priority=priority) for priority in (5, 5, 0)])
    assert (broker.client().llen("realtime"), depth_of("realtime")) == (0, 3)


def test_messages_of_jobs_that_were_revoked_do_not_count_though_llen_sees_them(user: Any, digits: ModelCard) -> None:
    jobs = [submit_digit(user, digits) for _ in range(3)]
    published(*jobs)
    revocation.revoke(jobs[0], user)
    assert (broker.client().llen("realtime"), depth_of("realtime")) == (3, 2)


def test_what_is_not_published_counts(user: Any, digits: ModelCard) -> None:
    published(job := submit_digit(user, digits))
    broker.client().flushall()
    Job.objects.filter(pk=job.pk).update(publish_at=9e9)
    assert depth_of("realtime") == 1


def test_without_redis_the_database_counts(user: Any, digits: ModelCard, settings: Any) -> None:
    published(submit_digit(user, digits))
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    broker.client.cache_clear()
    try:
        assert depth_of("realtime") == 1
    finally:
        broker.client.cache_clear()


def test_parts_of_a_batch_that_are_not_due_yet_count(user: Any, digits: ModelCard) -> None:
    submit_rows(user, digits, rows=12, parts=4)
    assert Chunk.objects.filter(state="reserved").count() == 1 and depth_of("batch") == 4


def test_a_worker_that_was_killed_is_not_counted_though_its_heartbeat_is_fresh(user: Any) -> None:
    said = {"state": "idle", "queues": ["realtime"], "started": utc_now()}
    workers.report("realtime@gone", a_dead_process(), launching.host(), said)
    assert [node.state for node in workers.live_workers("realtime")] == ["idle"]
    assert a_dry_run().turn(0.0).words == "Starts 1 worker: 0 workers serve, fewer than --min 1."


def test_a_lost_worker_is_not_counted(user: Any) -> None:
    process(age_s=13)
    assert a_dry_run().turn(0.0).start == 1


def test_a_worker_that_others_started_is_counted(user: Any) -> None:
    process()
    assert a_dry_run().turn(0.0).start == 0


def test_a_worker_that_has_not_said_yet_what_it_serves_is_coming(user: Any) -> None:
    process(state="starting", queues=[], model_state="loading")
    assert a_dry_run().turn(0.0).start == 0


def test_a_worker_of_another_queue_is_not_counted(user: Any) -> None:
    process(queues=["batch", "default"])
    assert a_dry_run().turn(0.0).start == 1


def test_a_paused_queue_is_not_scaled_up(user: Any, digits: ModelCard) -> None:
    process()
    for _ in range(5):
        submit_digit(user, digits)
    Pause.objects.create(queue="realtime", by_name="olga")
    assert a_dry_run().turn(0.0).words == "Holds: the queue is paused; 5 wait, 1 worker serves."


def test_a_dry_run_says_what_it_would_do_and_does_nothing(user: Any) -> None:
    scaler = a_dry_run()
    scaler.turn(0.0)
    row = Scaler.objects.get()
    assert row.decision == row.standing == "Dry run: Starts 1 worker: 0 workers serve, fewer than --min 1."
    assert (row.is_dry_run, row.workers, row.depth, Audit.objects.count()) == (True, [], 0, 0)


def test_a_worker_that_an_autoscaler_elsewhere_has_begun_to_start_is_coming(user: Any) -> None:
    elsewhere(workers=[{"name": "realtime-auto1@there", "pid": None, "gpu": None, "state": "starting", "started": 0}])
    assert a_dry_run().turn(0.0).start == 0


def test_what_a_silent_autoscaler_elsewhere_had_begun_is_not_coming(user: Any) -> None:
    row = elsewhere(
        workers=[{"name": "realtime-auto1@there", "pid": None, "gpu": None, "state": "starting", "started": 0}]
    )
    Scaler.objects.filter(pk=row.pk).update(beat_at=row.beat_at - 60)
    assert a_dry_run().turn(0.0).start == 1


def test_a_gpu_is_given_back_when_its_worker_is_gone() -> None:
    scaler = Autoscaler("realtime", RULES, gpus=["0", "1"], is_dry_run=True)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    scaler.workers = [Launched("w1", gpu="0", pid=child.pid, process=child)]
    assert scaler._free_gpus() == ["1"]
    child.kill()
    child.wait()
    scaler._take_ended()
    assert scaler._free_gpus() == ["0", "1"]


def test_each_worker_is_assigned_a_gpu_of_its_own_and_a_name_that_nobody_has() -> None:
    scaler = Autoscaler("realtime", RULES, gpus=["0", "3"], is_dry_run=True)
    process(f"realtime-auto1@{launching.host()}")
    new = scaler._launches(2)
    assert [(worker.name.partition("@")[0], worker.gpu) for worker in new] == [
        ("realtime-auto2", "0"),
        ("realtime-auto3", "3"),
    ]
    assert launching.environment("3")["CUDA_VISIBLE_DEVICES"] == "3"


def test_without_gpus_a_worker_sees_what_we_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    assert launching.environment(None)["CUDA_VISIBLE_DEVICES"] == "7"


def test_a_worker_is_started_under_our_pool_with_a_name_of_its_own() -> None:
    words = launching.command("batch-auto1@here", "batch")
    assert {"--pool=custom", "batch,default", "batch-auto1@here"} < set(words)
    assert launching.environment(None)["CELERY_CUSTOM_WORKER_POOL"] == "predictions.worker.pool:ModelPool"


def test_a_log_that_has_grown_large_is_put_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "LOG_BYTES", 3)
    launching.log_of("w1@here").write_text("long")
    path = launching.log_of("w1@here")
    assert not path.exists() and path.with_suffix(".log.1").read_text() == "long"


def test_a_number_of_a_process_that_is_used_again_is_no_worker() -> None:
    assert not launching.is_worker(os.getpid(), "realtime-auto1@here")


def elsewhere(**differs: Any) -> Scaler:
    row = scaler_rows.register("realtime", RULES, is_dry_run=False)
    Scaler.objects.filter(pk=row.pk).update(host="there", **differs)
    row.refresh_from_db()
    return row

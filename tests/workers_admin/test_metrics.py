from __future__ import annotations

import signal
import subprocess
import time
from typing import Any

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from predictions import broker
from predictions.model_cards import ModelCard
from predictions.models import Job
from predictions.pauses import Pause
from predictions.ticks import tick
from tests.predictions.jobs import submit_digit, submit_rows
from tests.processes import eventually
from tests.workers_admin.facts import process
from workers_admin import metrics, scaler_rows, surroundings, totals
from workers_admin.autoscaling import Rules
from workers_admin.models import Sample, Scaler, Total
from workers_admin.samples import EVERY_S

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def redis(clean_redis: None) -> None:
    """Messages are real ones."""


def numbers(name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """One metric by its labels, as a reader of the format finds it."""
    families = text_string_to_metric_families(metrics.text().decode())
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return {tuple(sample.labels[label] for label in labels): sample.value for sample in samples}


def a_sample(at: int, **counts: int) -> None:
    Sample.objects.create(at=at, every_s=EVERY_S, queue="realtime", model="", **counts)


def test_a_collector_needs_no_session_and_gets_prometheus_text(client: Client) -> None:
    answer = client.get("/metrics")
    assert answer.status_code == 200 and answer["Content-Type"].startswith("text/plain; version=")
    assert b"# TYPE inference_queue_depth gauge" in answer.content


def test_a_token_is_asked_for_where_one_is_set(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = "a-long-enough-token"
    refused = client.get("/metrics")
    assert (refused.status_code, refused["WWW-Authenticate"]) == (401, "Bearer")
    assert client.get("/metrics", headers={"Authorization": "Bearer another-token-here"}).status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer a-long-enough-token"}).status_code == 200


def test_nothing_can_be_posted(client: Client) -> None:
    assert client.post("/metrics").status_code == 405


def test_it_is_not_sent_to_https(client: Client, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT, settings.SECURE_REDIRECT_EXEMPT = True, [r"^healthz$", r"^readyz$", r"^metrics$"]
    assert client.get("/metrics").status_code == 200 and client.get("/jobs/").status_code == 301


def test_what_waits_is_told_by_where_it_stands(user: Any, digits: ModelCard) -> None:
    jobs = [submit_digit(user, digits, priority=priority) for priority in (9, 5)]
    assert eventually(lambda: not Job.objects.exclude(publish_at=None).exists())
    depth = numbers("inference_queue_depth", "queue", "kind")
    assert (depth["realtime", "waiting"], depth["realtime", "missing"]) == (2, 0)
    assert numbers("inference_queue_backlog", "queue")["realtime",] == len(jobs)
    assert numbers("inference_queue_oldest_wait_seconds", "queue")["realtime",] > 0


def test_the_backlog_has_the_parts_that_are_not_due(user: Any, digits: ModelCard) -> None:
    submit_rows(user, digits, rows=12, parts=4)
    assert numbers("inference_queue_backlog", "queue")["batch",] == 4


def test_without_redis_the_backlog_is_the_databases_and_the_rest_is_left_out(
    user: Any, digits: ModelCard, settings: Any
) -> None:
    submit_digit(user, digits)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    broker.client.cache_clear()
    try:
        assert numbers("inference_queue_backlog", "queue")["realtime",] == 1 and numbers("inference_redis_up") == {
            (): 0
        }
        assert ("realtime", "waiting") not in numbers("inference_queue_depth", "queue", "kind")
    finally:
        broker.client.cache_clear()


def test_a_redis_that_is_known_to_be_frozen_is_not_waited_for(redis_server: subprocess.Popen[bytes]) -> None:
    redis_server.send_signal(signal.SIGSTOP)
    try:
        assert eventually(lambda: surroundings.watch.latest().redis.fault == "frozen")
        began = time.monotonic()
        assert numbers("inference_redis_up") == {(): 0}
        assert time.monotonic() - began < broker.TIMEOUT_S / 2
    finally:
        redis_server.send_signal(signal.SIGCONT)
    assert eventually(lambda: not surroundings.watch.latest().redis.fault)


def test_workers_are_told_by_state_and_queue() -> None:
    process("realtime@a", state="busy")
    process("realtime@b", age_s=20)
    states = numbers("inference_workers", "state")
    assert (states["busy",], states["lost",], states["idle",]) == (1, 1, 0)
    assert numbers("inference_queue_consumers", "queue")["realtime",] == 1


def test_a_pause_and_the_steward_are_told() -> None:
    Pause.objects.create(queue="batch", by_name="olga")
    tick("steward")
    assert numbers("inference_queue_paused", "queue") == {("realtime",): 0, ("batch",): 1, ("default",): 0}
    assert 0 <= numbers("inference_steward_age_seconds")[()] < 5


def test_an_autoscaler_tells_its_size_and_what_it_does() -> None:
    row = scaler_rows.register("realtime", Rules(1, 4, 50), is_dry_run=False)
    scaler_rows.report(row, [], 3, "Holds: 3 wait, 1 worker serves.")
    assert numbers("inference_autoscaler_workers", "queue", "host") == {("realtime", row.host): 0}
    assert numbers("inference_autoscaler_does", "queue", "host", "what") == {("realtime", row.host, "holds"): 1}
    assert numbers("inference_autoscaler_bounds", "queue", "host", "bound")["realtime", row.host, "max"] == 4


def test_a_silent_autoscaler_is_not_told() -> None:
    row = scaler_rows.register("realtime", Rules(1, 4, 50), is_dry_run=False)
    Scaler.objects.filter(pk=row.pk).update(beat_at=row.beat_at - 60)
    assert numbers("inference_autoscaler_workers", "queue", "host") == {}


def test_jobs_that_ended_are_added_up_from_the_samples_each_once() -> None:
    a_sample(100, submitted=5, succeeded=3, failed=1)
    totals.advance()
    totals.advance()
    a_sample(110, submitted=1, succeeded=2, revoked=1)
    totals.advance()
    ended = numbers("inference_jobs_ended_total", "queue", "outcome")
    assert [ended["realtime", outcome] for outcome in ("succeeded", "failed", "revoked")] == [5, 1, 1]
    assert numbers("inference_jobs_submitted_total", "queue")["realtime",] == 6


def test_the_counters_stay_when_the_samples_are_forgotten() -> None:
    a_sample(100, succeeded=3)
    totals.advance()
    Sample.objects.all().delete()
    totals.advance()
    assert numbers("inference_jobs_ended_total", "queue", "outcome")["realtime", "succeeded"] == 3


def test_a_sample_from_a_time_that_has_not_come_holds_up_no_counter() -> None:
    totals.advance()
    a_sample(100, succeeded=3)
    totals.advance()
    Total.objects.update(until=9_999_999_999)
    a_sample(9_999_999_000, succeeded=7)
    totals.advance()
    assert numbers("inference_jobs_ended_total", "queue", "outcome")["realtime", "succeeded"] == 3

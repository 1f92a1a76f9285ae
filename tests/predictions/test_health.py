from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from predictions import broker, ticks, workers
from predictions.clock import Clock
from predictions.models import utc_now
from predictions.ticks import Tick
from predictions.workers import Worker

pytestmark = pytest.mark.django_db(transaction=True)
FACTS = {"model_state": "ready", "state": "idle", "started": utc_now()}


@pytest.fixture
def whole(clean_redis: None) -> Iterator[None]:
    """Everything the product needs, as it reports itself."""
    broker.client().config_set("maxmemory-policy", "noeviction")
    workers.report("realtime@here", 1, "here", {**FACTS, "queues": ["realtime"]})
    workers.report("batch@here", 2, "here", {**FACTS, "queues": ["batch", "default"]})
    ticks.tick("steward")
    yield
    broker.client().config_set("maxmemory-policy", "noeviction")


def ready() -> tuple[int, dict[str, Any]]:
    answer = Client().get("/readyz")
    return answer.status_code, answer.json()


def faults() -> list[str]:
    status, body = ready()
    assert (status, body["ready"]) == (503, False)
    return list(body["problems"])


def test_the_process_lives_without_asking_anything() -> None:
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_everything_there_is_ready(whole: None) -> None:
    assert ready() == (200, {"ready": True, "problems": [], "checks": dict.fromkeys(ready()[1]["checks"], True)})


def test_a_worker_that_is_missing_is_named_with_the_command_that_starts_one(whole: None) -> None:
    Worker.objects.filter(name="batch@here").delete()
    (fault,) = faults()
    assert fault.startswith("No worker serves batch. Start one: CELERY_CUSTOM_WORKER_POOL=")
    assert " .venv/bin/python -m celery -A inference_site worker --pool=custom -Q batch" in fault


def test_a_worker_that_still_loads_its_model_is_not_ready(whole: None) -> None:
    Worker.objects.filter(name="realtime@here").update(model_state="loading")
    assert faults() == ["The worker of realtime is still loading its model."]


def test_a_model_that_cannot_be_loaded_says_why(whole: None) -> None:
    Worker.objects.filter(name="realtime@here").update(
        model_state="failed", model_error="The file does not match its card."
    )
    assert faults() == ["The file does not match its card."]


def test_a_worker_that_fell_silent_does_not_count(whole: None) -> None:
    Worker.objects.filter(name="realtime@here").update(beat_at=Clock() - 7.0)
    assert "realtime" in faults()[0]


def test_a_steward_that_fell_silent_is_named_with_its_age(whole: None) -> None:
    Tick.objects.update(at=Clock() - 30.0)
    assert faults()[0].startswith("The steward was last seen 30 s ago.")


def test_a_steward_that_never_ran_is_named(whole: None) -> None:
    Tick.objects.all().delete()
    assert faults()[0].startswith("The steward has never run.")


def test_a_redis_that_may_throw_messages_away_is_named(whole: None) -> None:
    broker.client().config_set("maxmemory-policy", "allkeys-lru")
    assert "maxmemory-policy is allkeys-lru; set it to noeviction" in faults()[0]


def test_a_redis_that_does_not_answer_is_named(whole: None, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    broker.client.cache_clear()
    try:
        assert all(fault.startswith("Redis does not answer") for fault in faults())
    finally:
        broker.client.cache_clear()


def test_neither_takes_a_post() -> None:
    assert [Client(enforce_csrf_checks=True).post(path).status_code for path in ("/healthz", "/readyz")] == [405, 405]

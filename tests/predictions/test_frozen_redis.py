"""A Redis that is stopped in its tracks, and a real web process that goes on accepting jobs."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import httpx
import pytest

from predictions import keys
from predictions.model_cards import ModelCard
from predictions.models import Job
from tests import processes
from tests.conftest import database

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.usefixtures("clean_redis")
@pytest.mark.parametrize("rate", ["off", "100000/m"])
def test_a_frozen_redis_does_not_hold_up_a_submit(
    redis_server: Any, user: Any, digits: ModelCard, monkeypatch: pytest.MonkeyPatch, rate: str
) -> None:
    monkeypatch.setitem(os.environ, "RATE_LIMIT", rate)
    _, key = keys.create(user, "test")
    client = httpx.Client(headers={"Authorization": f"Bearer {key}"}, timeout=60)
    with client, processes.web(database(), f"web-frozen-{len(rate)}") as url:
        submit(client, url, digits)
        redis_server.send_signal(signal.SIGSTOP)
        try:
            slowest = sorted(submit(client, url, digits) for _ in range(6))
        finally:
            redis_server.send_signal(signal.SIGCONT)
    # The one that finds out that the rate cannot be asked waits for its answer; nobody after it does.
    assert slowest[-1] < 3.5 and slowest[-2] < 1.0, slowest
    assert Job.objects.count() == 7


def submit(client: httpx.Client, url: str, card: ModelCard) -> float:
    """Seconds until it was accepted."""
    began = time.monotonic()
    assert client.post(f"{url}/api/v1/predict", json={"input": card.examples[3]["vector"]}).status_code == 202
    return time.monotonic() - began

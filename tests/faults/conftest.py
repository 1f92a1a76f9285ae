"""The world of a fault: Redis, web and steward run, a ledger is open; the test starts its workers and does its harm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.test import override_settings

from predictions import broker, keys
from tests.conftest import database
from tests.faults.report import FAULT, Report
from tests.faults.world import World


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Iterator[Report]:
    """What the test measured travels with its own report: another process may print the table."""
    found = Report()
    yield found
    request.node.user_properties += [(FAULT, line.as_dict()) for line in found.lines]


@pytest.fixture
def world(transactional_db: None, user: Any, model_dir: Path) -> Iterator[World]:
    """Nothing runs yet: for a test that starts its own web, steward or Redis."""
    _, key = keys.create(user, "ledger")
    with ExitStack() as stack:
        found = World(stack, database(), key)
        stack.enter_context(override_settings(REDIS_URL=found.env["REDIS_URL"]))
        stack.enter_context(messages_go_to(found.env["REDIS_URL"]))
        broker.client.cache_clear()
        stack.callback(broker.client.cache_clear)
        yield found


@contextmanager
def messages_go_to(redis_url: str) -> Iterator[None]:
    """What the test itself publishes."""
    current_app.conf.broker_write_url = redis_url
    try:
        yield
    finally:
        current_app.conf.broker_write_url = None

"""Redis hangs: it takes connections and answers nobody."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.test import Client

from predictions import broker
from tests.faults import backlog
from tests.faults.ledger import percentile
from tests.faults.report import Report
from tests.faults.world import World, frozen, repeating

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
FROZEN_S = 20.0


class Reader:
    """A person with the site open in several tabs. took_s: by the name of what was read."""

    def __init__(self, address: str, person: Any) -> None:
        self.took_s = defaultdict[str, list[float]](list)
        self.unanswered: list[str] = []
        browser = Client()
        browser.force_login(person)
        cookies = {settings.SESSION_COOKIE_NAME: browser.cookies[settings.SESSION_COOKIE_NAME].value}
        self.client = httpx.Client(base_url=address, cookies=cookies, timeout=60)

    def read(self, name: str, path: str) -> None:
        began = time.monotonic()
        answer = self.client.get(path)
        self.took_s[name].append(time.monotonic() - began)
        if answer.status_code not in {200, 503}:
            self.unanswered.append(f"{path} {answer.status_code}")


def test_a_frozen_redis_holds_up_no_submit_and_no_page(world: World, report: Report, staff: Any) -> None:
    """What asks Redis itself is read by several at once, as load balancers and open consoles do."""
    server = world.redis()
    world.web(), world.steward(), world.worker("realtime")
    before = world.ledger.submit_digit()
    assert before is not None
    reader = Reader(world.address, staff)
    pages = {"job list": "/jobs/", "job": f"/jobs/{before.id}/", "submit page": "/", "healthz": "/healthz"}
    ask_redis = {"readyz": "/readyz", "console": "/console/", "depths": "/api/v1/queues"}
    for name, path in {**pages, **ask_redis}.items():
        reader.read(name, path)
    reader.took_s.clear()
    with closing(reader.client), ExitStack() as loads:
        for name, path in pages.items():
            loads.enter_context(repeating(partial(reader.read, name, path), 0.2))
        for name, path in 3 * list(ask_redis.items()):
            loads.enter_context(repeating(partial(reader.read, name, path), 0.2))
        for _ in range(2):
            loads.enter_context(repeating(world.ledger.submit_digit, 0.05))
        with frozen(server):
            time.sleep(FROZEN_S)
        thawed = time.time()
    account = world.ledger.settle()
    submits = [entry.took_s for entry in world.ledger.entries[1:]]
    worst = {name: max(times) for name, times in reader.took_s.items()}
    report.add(
        f"SIGSTOP of Redis for {FROZEN_S:.0f} s",
        account,
        backlog.first_success_after_s(world, thawed),
        submits=len(submits),
        **{f"submit_p{of}_ms": percentile(submits, of / 100) * 1000 for of in (50, 99, 100)},
        **{f"{name.replace(' ', '_')}_max_s": round(s, 2) for name, s in worst.items()},
    )
    assert not account.faults and not reader.unanswered and not world.ledger.refused
    assert percentile(submits, 0.99) < 1  # the promise itself
    slow = [name for name in pages if percentile(reader.took_s[name], 0.9) >= broker.TIMEOUT_S]
    assert not slow, slow  # none of them waits for Redis

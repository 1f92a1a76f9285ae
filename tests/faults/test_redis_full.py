"""Redis has no memory left: it refuses messages, or throws away those it has."""

from __future__ import annotations

import time
from typing import Any

import httpx
import psutil
import pytest

from predictions import broker
from tests.faults import backlog
from tests.faults.ledger import percentile
from tests.faults.report import Report
from tests.faults.world import World
from tests.processes import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

MOST_CONNECTIONS = 30


def info(section: str) -> dict[str, Any]:
    found: dict[str, Any] = broker.client().info(section)
    return found


def test_a_full_redis_stops_no_submit_and_no_worker(world: World, report: Report) -> None:
    """A worker takes messages off the queue meanwhile and cannot note that it has them."""
    world.redis(), world.web(), world.steward()
    crew = [world.worker("realtime", forward_s=0.1) for _ in range(2)]
    world.ledger.submit_digits(60)
    assert eventually(world.messages)
    broker.client().config_set("maxmemory", 1)
    met = world.ledger.submit_digits(200, clients=2)
    time.sleep(8)
    assert all(worker.poll() is None for worker in crew)
    connections = max(len(psutil.Process(worker.pid).net_connections()) for worker in crew)
    waited = len(world.ledger.entries) - backlog.ended()
    broker.client().config_set("maxmemory", 0)
    given_back = time.time()
    account = world.ledger.settle()
    report.add(
        "Redis full under noeviction for 10 s",
        account,
        backlog.first_success_after_s(world, given_back),
        submit_p99_ms=percentile([entry.took_s for entry in met], 0.99) * 1000,
        waited=waited,
        connections=connections,
    )
    assert len(met) == 200 and waited
    assert connections < MOST_CONNECTIONS  # Celery alone leaves a dozen open every second
    assert backlog.is_whole(account)


def test_a_redis_that_evicts_loses_messages_and_no_job(world: World, report: Report) -> None:
    world.redis("--maxmemory-policy", "allkeys-lru"), world.web(), world.steward()
    for _ in range(2):
        world.worker("realtime", ROW_S="0.02")
    broker.client().config_set("maxmemory", info("memory")["used_memory"] + 1_000_000)
    world.ledger.submit_digits(800)
    problems = httpx.get(f"{world.address}/readyz").json()["problems"]
    backlog.wait_until_drained()
    account = world.ledger.settle()
    report.add(
        "allkeys-lru with too little memory",
        account,
        None,
        evicted_keys=info("stats")["evicted_keys"],
        sent=info("commandstats")["cmdstat_lpush"]["calls"],
    )
    assert backlog.is_whole(account) and info("stats")["evicted_keys"]
    assert any("maxmemory-policy is allkeys-lru" in problem for problem in problems)

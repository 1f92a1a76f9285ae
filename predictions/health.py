"""Whether the product can do its work now: one check for each thing it needs, with a sentence where it is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis
from django.db import Error, connection

from predictions import broker, ticks, workers
from predictions.queues import BATCH, REALTIME, start_command

EVICTION = "noeviction"


@dataclass(frozen=True)
class Check:
    """fault: the sentence that says what is wrong and what cures it, or ""."""

    name: str
    fault: str

    @property
    def is_ok(self) -> bool:
        return not self.fault


def checks() -> list[Check]:
    """Each stands alone: what cannot be asked is a fault of its own. A Redis that does not answer is waited for once."""
    silence = _fault_of(_broker)
    return [
        Check("database", _fault_of(_database)),
        Check("broker", silence),
        Check("eviction_policy", silence or _fault_of(_eviction_policy)),
        Check("realtime_worker", _fault_of(lambda: _worker(REALTIME))),
        Check("batch_worker", _fault_of(lambda: _worker(BATCH))),
        Check("steward", _fault_of(_steward)),
    ]


def as_json(found: list[Check]) -> dict[str, Any]:
    return {
        "ready": all(check.is_ok for check in found),
        "problems": [check.fault for check in found if check.fault],
        "checks": {check.name: check.is_ok for check in found},
    }


def _fault_of(check: Callable[[], str]) -> str:
    try:
        return check()
    except Error as error:
        connection.close()
        return f"The database does not answer: {_first_line(error)}."
    except redis.RedisError as error:
        return f"Redis does not answer: {_first_line(error)}. Jobs are accepted and wait."


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return ""


def _broker() -> str:
    broker.ping()
    return ""


def _eviction_policy() -> str:
    policy = broker.eviction_policy()
    if policy == EVICTION:
        return ""
    return f"Redis may throw queued messages away: maxmemory-policy is {policy}; set it to {EVICTION}."


def _worker(queue: str) -> str:
    serving = workers.live_workers(queue)
    if any(node.is_ready for node in serving):
        return ""
    if not serving:
        return f"No worker serves {queue}. Start one: {start_command(queue)}"
    errors = [process.model_error for node in serving for process in node.processes if process.model_error]
    return errors[0] if errors else f"The worker of {queue} is still loading its model."


def _steward() -> str:
    age_s = ticks.age_s("steward")
    if age_s is None:
        return "The steward has never run. Start it: .venv/bin/python manage.py steward"
    if age_s > ticks.SILENT_AFTER_S:
        return f"The steward was last seen {age_s:.0f} s ago. Start it: .venv/bin/python manage.py steward"
    return ""

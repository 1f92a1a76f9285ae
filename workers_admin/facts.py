"""Gathers what conditions.py judges: from the database, from Redis, and for how long messages have been missing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from urllib.parse import urlsplit, urlunsplit

import redis
from django.conf import settings

from predictions import broker, ticks, workers
from workers_admin.conditions import Facts
from workers_admin.depths import QueueDepth, depths

_lock = threading.Lock()
_missing_since: dict[str, float] = {}


def facts_now() -> Facts:
    found = depths()
    error = next((depth.broker_error for depth in found if depth.broker_error), "")
    return Facts(
        depths=found,
        nodes=workers.nodes(),
        steward_age_s=ticks.age_s("steward"),
        redis_address=redis_address(),
        redis_error=error,
        eviction_policy=None if error else _eviction_policy(),
        missing_for_s=missing_for_s(found, time.monotonic()),
    )


def missing_for_s(found: Iterable[QueueDepth], now: float) -> dict[str, float]:
    """For how long each queue has lacked messages, as far as this process has seen.

    One look cannot tell a message that is lost from one in flight.
    """
    with _lock:
        lacking = {depth.name for depth in found if depth.missing}
        for name in _missing_since.keys() - lacking:
            del _missing_since[name]
        return {name: now - _missing_since.setdefault(name, now) for name in lacking}


def _eviction_policy() -> str | None:
    """None where the server does not let us ask, as hosted ones do."""
    try:
        return broker.eviction_policy()
    except redis.RedisError:
        return None


def redis_address() -> str:
    """As an operator may read it on a screen: without its password."""
    parts = urlsplit(settings.REDIS_URL)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))

"""Gathers what conditions.py judges: from the database, from what stands around us, and for how long messages have been missing."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from datetime import datetime

from django.conf import settings
from django.db import connection

from predictions import ticks, workers
from predictions.clock import now_s
from predictions.models import utc_now
from predictions.queues import BATCH, DEFAULT, REALTIME
from workers_admin import surroundings
from workers_admin.conditions import MISSING, Facts
from workers_admin.depths import QueueDepth, depths
from workers_admin.models import Incident
from workers_admin.redis_look import redis_address
from workers_admin.scaler_cards import scaler_cards
from workers_admin.trends import trends

LOOKS = 3
"""The quickest of so many counts: one that had to wait for a processor says nothing about the database."""

_lock = threading.Lock()
_missing_since: dict[str, float] = {}
_looks: deque[float] = deque(maxlen=LOOKS)


def facts_now() -> Facts:
    found, around = depths_now(), surroundings.watch.latest()
    steward_age_s, commit_s, read_s = _steward()
    return Facts(
        depths=found,
        nodes=workers.nodes(),
        steward_age_s=steward_age_s,
        redis_address=redis_address(),
        redis_error=next((depth.broker_error for depth in found if depth.broker_error), ""),
        redis=around.redis,
        missing_for_s=missing_for_s(found, time.monotonic(), _known_for_s()),
        trends=trends(now_s()),
        wait_targets_s=wait_targets_s(),
        disks=around.disks,
        disk_free_share=settings.DISK_FREE_PERCENT / 100,
        commit_s=commit_s,
        read_s=read_s,
        database=str(connection.settings_dict["NAME"]),
        scalers=scaler_cards(),
    )


def depths_now() -> list[QueueDepth]:
    """Redis is asked only where it is not known to be silent."""
    silence = surroundings.watch.latest().redis.error
    found = depths(silence)
    if not silence and any(depth.broker_error for depth in found):
        surroundings.watch.stir()
    return found


def _steward() -> tuple[float | None, float | None, float | None]:
    """(seconds since its tick, what its commits take, what looking that up took of late)."""
    begun = time.monotonic()
    age_s, commit_s = ticks.seen("steward")
    with _lock:
        _looks.append(time.monotonic() - begun)
        return age_s, commit_s, min(_looks) if len(_looks) == LOOKS else None


def wait_targets_s() -> dict[str, float]:
    batch_s = float(settings.BATCH_WAIT_TARGET)
    return {REALTIME: float(settings.REALTIME_WAIT_TARGET), BATCH: batch_s, DEFAULT: batch_s}


def missing_for_s(
    found: Iterable[QueueDepth], now: float, known_for_s: dict[str, float] | None = None
) -> dict[str, float]:
    """For how long each queue has lacked messages, as far as this process has seen, or a steward noted.

    One look cannot tell a message that is lost from one in flight.
    """
    with _lock:
        lacking = {depth.name for depth in found if depth.missing}
        for name in _missing_since.keys() - lacking:
            del _missing_since[name]
        seen_s = {name: now - _missing_since.setdefault(name, now) for name in lacking}
    return {name: max(seconds, (known_for_s or {}).get(name, 0.0)) for name, seconds in seen_s.items()}


def _known_for_s() -> dict[str, float]:
    """By queue, from the incidents that are open: a page that is opened in the middle of the night has seen nothing itself."""
    begun = Incident.objects.filter(ended=None, key__startswith=MISSING).values_list("key", "began")
    return {key.removeprefix(MISSING): _seconds_since(began) for key, began in begun}


def _seconds_since(moment: datetime) -> float:
    return max(0.0, (utc_now() - moment).total_seconds())

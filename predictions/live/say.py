"""Tells every web process that jobs have changed. Messages are hints: the truth is read from the database.

One event loop on a thread of its own stays alive, because a new loop for each message costs 4 to 5 ms (facts 27).
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Iterable
from functools import partial
from typing import Any
from uuid import UUID

from channels.layers import get_channel_layer
from django.db import transaction

from predictions.models import Job

log = logging.getLogger(__name__)
GROUP = "jobs"
CONSOLE_GROUP = "console"
GIVE_UP_S = 2.0
MOST_PENDING = 200

_lock = threading.Lock()
_loops: dict[int, asyncio.AbstractEventLoop] = {}
_pending = 0


def jobs_changed(ids: Iterable[UUID]) -> None:
    """Say it once the transaction in hand has committed (at once where there is none)."""
    changed = list(ids)
    if changed:
        transaction.on_commit(partial(_say_jobs, changed))


def workers_changed() -> None:
    transaction.on_commit(partial(_send, CONSOLE_GROUP, {"type": "workers.changed"}))


def _say_jobs(ids: list[UUID]) -> None:
    rows = Job.objects.filter(pk__in=ids).values_list("pk", "version", "owner_id", "state", "done")
    news = [[str(pk), *rest] for pk, *rest in rows]
    if news:
        _send(GROUP, {"type": "jobs.changed", "jobs": news})


def _send(group: str, message: dict[str, Any]) -> None:
    global _pending
    with _lock:
        if _pending >= MOST_PENDING:  # Redis is frozen; pages poll meanwhile
            return
        _pending += 1
    asyncio.run_coroutine_threadsafe(_group_send(group, message), _loop())


async def _group_send(group: str, message: dict[str, Any]) -> None:
    global _pending
    try:
        await asyncio.wait_for(get_channel_layer().group_send(group, message), GIVE_UP_S)
    except Exception as error:  # noqa: BLE001  a hint that is lost costs a page its poll, never the work
        log.warning("A change could not be announced: %s", error or type(error).__name__)
    finally:
        with _lock:
            _pending -= 1


def _loop() -> asyncio.AbstractEventLoop:
    """This process's loop; a forked child makes its own."""
    with _lock:
        loop = _loops.get(os.getpid())
        if loop is None:
            loop = _loops[os.getpid()] = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="say", daemon=True).start()
        return loop

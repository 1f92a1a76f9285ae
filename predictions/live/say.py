"""Tells every web process that jobs have changed. Messages are hints: the truth is read from the database.

One event loop on a thread of its own stays alive, because a new loop for each message costs 4 to 5 ms (facts 27).
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import time
from collections.abc import Iterable
from functools import partial
from typing import Any
from uuid import UUID

import redis
from channels.layers import get_channel_layer
from django.db import transaction

from predictions.models import REVOKING, Job, State

log = logging.getLogger(__name__)
GROUP = "jobs"
CONSOLE_GROUP = "console"
GIVE_UP_S = 2.0
LAST_WORDS_S = 1.0
MOST_PENDING = 200

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_pending = 0


def jobs_changed(ids: Iterable[UUID]) -> None:
    """Say it once the transaction in hand has committed (at once where there is none)."""
    changed = list(ids)
    if changed:
        # robust: the change is committed; that it could not be said must not look like a failure of it.
        transaction.on_commit(partial(_say_jobs, changed), robust=True)


def workers_changed() -> None:
    transaction.on_commit(partial(_send, CONSOLE_GROUP, {"type": "workers.changed"}), robust=True)


def news_of(ids: Iterable[UUID]) -> list[list[Any]]:
    """[id, version, owner, status, done] of each job, as it stands now."""
    rows = Job.objects.filter(pk__in=ids).values_list("pk", "version", "owner_id", "state", "revoke_requested", "done")
    return [
        [str(pk), version, owner_id, REVOKING if state == State.RUNNING and asked else state, done]
        for pk, version, owner_id, state, asked, done in rows
    ]


def _say_jobs(ids: list[UUID]) -> None:
    if news := news_of(ids):
        _send(GROUP, {"type": "jobs.changed", "jobs": news})


def _send(group: str, message: dict[str, Any]) -> None:
    global _pending
    with _lock:
        if _pending >= MOST_PENDING:  # Redis is frozen; what is watched is looked up meanwhile
            return
        _pending += 1
        asyncio.run_coroutine_threadsafe(_group_send(group, message), _living_loop())


async def _group_send(group: str, message: dict[str, Any]) -> None:
    global _pending
    try:
        async with asyncio.timeout(GIVE_UP_S):
            await _group_send_twice(group, message)
    except Exception as error:  # a hint that is lost costs a page its poll, never the work
        log.warning("A change could not be announced: %s", error or type(error).__name__)
    finally:
        with _lock:
            _pending -= 1


async def _group_send_twice(group: str, message: dict[str, Any]) -> None:
    """The first try after a restart of Redis meets the connection to the one before."""
    try:
        await get_channel_layer().group_send(group, message)
    except redis.ConnectionError:
        await get_channel_layer().group_send(group, message)


def _living_loop() -> asyncio.AbstractEventLoop:
    """This process's loop. The caller holds the lock."""
    global _loop
    if _loop is None:
        _loop = asyncio.new_event_loop()
        threading.Thread(target=_loop.run_forever, name="say", daemon=True).start()
    return _loop


def _forget_parent() -> None:
    """A forked child has neither the thread nor what it had in hand, and its lock may have been held."""
    global _lock, _loop, _pending
    _lock, _loop, _pending = threading.Lock(), None, 0


def _say_last_words() -> None:
    """A process that ends has often just changed something."""
    ends = time.monotonic() + LAST_WORDS_S
    while _pending and time.monotonic() < ends:
        time.sleep(0.005)


os.register_at_fork(after_in_child=_forget_parent)
atexit.register(_say_last_words)

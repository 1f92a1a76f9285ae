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

GATHERED_S = 0.02
"""News of a job that goes on may wait so long: what ends within it is told once."""
GOING_ON = {State.QUEUED, State.RUNNING}
News = list[Any]

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_pending = 0
_gathered: dict[str, News] = {}
_is_due = False


def jobs_changed(ids: Iterable[UUID]) -> None:
    """Say it once the transaction in hand has committed (at once where there is none)."""
    changed = list(ids)
    if changed:
        # robust: the change is committed; that it could not be said must not look like a failure of it.
        transaction.on_commit(partial(_say_jobs, changed), robust=True)


def news(rows: list[News]) -> None:
    """The same for who knows the rows, as `news_of` gives them; a job that has ended may carry its end as a sixth."""
    if rows:
        transaction.on_commit(partial(_gather, rows), robust=True)


def workers_changed() -> None:
    transaction.on_commit(partial(_send, CONSOLE_GROUP, {"type": "workers.changed"}), robust=True)


def keys_changed() -> None:
    """An API key was revoked or an account changed: no web process may know it as it was."""
    transaction.on_commit(partial(_send, GROUP, {"type": "keys.changed"}), robust=True)


def news_of(ids: Iterable[UUID]) -> list[list[Any]]:
    """[id, version, owner, status, done] of each job, as it stands now."""
    rows = Job.objects.filter(pk__in=ids).values_list("pk", "version", "owner_id", "state", "revoke_requested", "done")
    return [
        [str(pk), version, owner_id, REVOKING if state == State.RUNNING and asked else state, done]
        for pk, version, owner_id, state, asked, done in rows
    ]


def _say_jobs(ids: list[UUID]) -> None:
    _gather(news_of(ids))


def _gather(rows: list[News]) -> None:
    """The newest of each job. An end takes along what waits to be said."""
    global _is_due
    with _lock:
        for row in rows:
            if (known := _gathered.get(row[0])) is None or known[1] < row[1]:
                _gathered[row[0]] = row
        is_urgent = any(row[3] not in GOING_ON for row in rows)
        if not is_urgent and not _is_due and rows:
            _is_due = True
            _living_loop().call_soon_threadsafe(_say_soon)
    if is_urgent:
        _say_gathered()


def _say_soon() -> None:
    asyncio.get_running_loop().call_later(GATHERED_S, _say_gathered)


def _say_gathered() -> None:
    global _is_due
    with _lock:
        rows = list(_gathered.values())
        _gathered.clear()
        _is_due = False
    if rows:
        _send(GROUP, {"type": "jobs.changed", "jobs": rows})


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
    global _lock, _loop, _pending, _is_due
    _lock, _loop, _pending, _is_due = threading.Lock(), None, 0, False
    _gathered.clear()


def _say_last_words() -> None:
    """A process that ends has often just changed something."""
    ends = time.monotonic() + LAST_WORDS_S
    while (_pending or _gathered) and time.monotonic() < ends:
        time.sleep(0.005)


os.register_at_fork(after_in_child=_forget_parent)
atexit.register(_say_last_words)

"""Tells every web process that jobs have changed. Messages are hints: the truth is read from the database."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Iterable
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from predictions.live.wire import wire
from predictions.models import REVOKING, Job, State

GROUP = "jobs"
CONSOLE_GROUP = "console"
GATHERED_S = 0.02
"""News of a job that goes on may wait so long: what ends within it is told once."""
GOING_ON = {State.QUEUED, State.RUNNING}
STAYS_AWAKE_LOOKS = 50
News = list[Any]


def jobs_changed(ids: Iterable[UUID]) -> None:
    """Say it once the transaction in hand has committed (at once where there is none)."""
    changed = list(ids)
    if changed:
        # robust: the change is committed; that it could not be said must not look like a failure of it.
        transaction.on_commit(partial(_say_jobs, changed), robust=True)


def news(rows: list[News]) -> None:
    """The same for who knows the rows, as `news_of` gives them; a job that has ended may carry its end as a sixth."""
    if rows:
        transaction.on_commit(partial(_add, rows), robust=True)


def workers_changed() -> None:
    transaction.on_commit(partial(wire.send, CONSOLE_GROUP, {"type": "workers.changed"}), robust=True)


def keys_changed() -> None:
    """An API key was revoked or an account changed: no web process may know it as it was."""
    transaction.on_commit(partial(wire.send, GROUP, {"type": "keys.changed"}), robust=True)


def news_of(ids: Iterable[UUID]) -> list[list[Any]]:
    """[id, version, owner, status, done] of each job, as it stands now."""
    rows = Job.objects.filter(pk__in=ids).values_list("pk", "version", "owner_id", "state", "revoke_requested", "done")
    return [
        [str(pk), version, owner_id, REVOKING if state == State.RUNNING and asked else state, done]
        for pk, version, owner_id, state, asked, done in rows
    ]


def _say_jobs(ids: list[UUID]) -> None:
    _add(news_of(ids))


def _add(rows: list[News]) -> None:
    _gathering.add(rows)


class Gathering:
    """The newest of each job that was not yet said, and the thread that says it soon."""

    def __init__(self) -> None:
        self._rows: dict[str, News] = {}
        self._lock = threading.Lock()
        self._is_awake = False
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, rows: list[News]) -> None:
        """An end is said at once, and takes along what waits."""
        with self._lock:
            for row in rows:
                if (known := self._rows.get(row[0])) is None or known[1] < row[1]:
                    self._rows[row[0]] = row
        if any(row[3] not in GOING_ON for row in rows):
            self.say()
        if rows and not self._is_awake:
            self._rouse()

    def say(self) -> bool:
        with self._lock:
            rows, self._rows = list(self._rows.values()), {}
        if rows:
            wire.send(GROUP, {"type": "jobs.changed", "jobs": rows})
        return bool(rows)

    def _rouse(self) -> None:
        with self._lock:
            self._is_awake = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="say", daemon=True)
                self._thread.start()
        self._wake.set()

    def _run(self) -> None:
        """Once awake it looks for a while without being woken: that would cost each job a switch of threads."""
        while True:
            self._wake.wait()
            self._wake.clear()
            looks = 0
            while looks < STAYS_AWAKE_LOOKS:
                time.sleep(GATHERED_S)
                looks = 0 if self.say() else looks + 1
                wire.settle()
            self._is_awake = False
            self.say()  # what was added just before


_gathering = Gathering()


def _forget_parent() -> None:
    """A forked child has neither the thread nor what it had in hand, and its lock may have been held."""
    global _gathering
    _gathering = Gathering()


def _say_last_words() -> None:
    """A process that ends has often just changed something."""
    _gathering.say()


os.register_at_fork(after_in_child=_forget_parent)
atexit.register(_say_last_words)

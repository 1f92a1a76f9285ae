"""Writes the vector jobs that arrive together in one transaction: while one group is written, the next gathers.

One thread a process keeps a database connection for it. There is no timer: a job that comes alone is written at once.
"""

from __future__ import annotations

import asyncio
import logging
import queue
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from django.db import Error, InterfaceError, OperationalError, connection, transaction

from predictions import dispatch, fairness, job_rows
from predictions.errors import KeyReused, Unavailable
from predictions.fresh import FreshJob
from predictions.line import Line
from predictions.live import say
from predictions.models import Job
from predictions.own_thread import OwnThread
from predictions.queues import REALTIME
from predictions.waiting import Position

log = logging.getLogger(__name__)
MOST_WAITING = 2_000
MOST_AT_ONCE = 500
TRY_AGAIN_S = 1


@dataclass(frozen=True, slots=True)
class Accepted:
    """A stored job. is_replayed: it is an earlier one, which an idempotency key gave again. position: where asked for."""

    job: Job | FreshJob
    is_replayed: bool
    position: Position | None


@dataclass(slots=True, eq=False)
class Entry:
    """A job on its way into the database, and whoever waits for it."""

    job: FreshJob
    wants_position: bool = False
    written: asyncio.Future[None] | None = None
    earlier: Job | None = None  # that its idempotency key gave again
    error: BaseException | None = None
    position: Position | None = None

    @property
    def is_fresh(self) -> bool:
        return self.earlier is None and self.error is None

    @property
    def is_withdrawn(self) -> bool:
        return self.written is not None and self.written.cancelled()

    def outcome(self) -> Accepted:
        if self.error:
            raise self.error
        return Accepted(self.earlier or self.job, self.earlier is not None, self.position)


def accept(job: FreshJob) -> Accepted:
    """Write one job in the caller's thread, and in its transaction where there is one."""
    entry = Entry(job)
    _write([entry])
    _say([entry])
    return entry.outcome()


async def accept_soon(job: FreshJob, wants_position: bool) -> Accepted:
    """Write one job with those that arrive meanwhile. Whoever is cancelled before its group has begun leaves nothing."""
    return await _writer.accept(Entry(job, wants_position))


class Writer:
    """The thread, and the jobs that wait for it."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Entry] = queue.SimpleQueue()
        self._line = Line(REALTIME)
        self._thread = OwnThread(self._run, "group-commit")

    async def accept(self, entry: Entry) -> Accepted:
        if self._waiting.qsize() >= MOST_WAITING:
            raise Unavailable(
                f"{MOST_WAITING:,} submissions wait to be written; try again in {TRY_AGAIN_S} s.",
                retry_after_s=TRY_AGAIN_S,
            )
        entry.written = asyncio.get_running_loop().create_future()
        self._waiting.put(entry)
        self._thread.start()
        await entry.written
        return entry.outcome()

    def _run(self) -> None:
        while True:
            if group := self._gather():
                _write_or_fail(group)
                self._place([entry for entry in group if entry.is_fresh])
                _tell(group)
                _say(group)

    def _gather(self) -> list[Entry]:
        """The first, and all that came meanwhile."""
        group = [self._waiting.get()]
        while len(group) < MOST_AT_ONCE and not self._waiting.empty():
            group.append(self._waiting.get())
        return [entry for entry in group if not entry.is_withdrawn]

    def _place(self, group: Sequence[Entry]) -> None:
        """The jobs are accepted, whether their places can be told or not."""
        self._line.join([entry.job for entry in group])
        if asking := [entry for entry in group if entry.wants_position]:
            try:
                places = self._line.places([entry.job for entry in asking])
            except Error as error:
                log.warning("Places in the queue could not be counted: %s", error)
                connection.close()
                return
            for entry, place in zip(asking, places, strict=True):
                entry.position = place


def _write_or_fail(group: Sequence[Entry]) -> None:
    try:
        _write(group)
    except Exception as error:  # whoever waits is told
        for entry in group:
            entry.error = error
        if isinstance(error, Error):
            connection.close()


def _write(group: Sequence[Entry]) -> None:
    """In one transaction. Where a row spoils it, each in its own: some constraints are judged at the commit only."""
    try:
        _commit(group)
    except (OperationalError, InterfaceError):  # the database takes nothing now
        raise
    except Exception:
        if len(group) == 1:
            raise
        for entry in group:
            _write_or_fail([entry])


def _commit(group: Sequence[Entry]) -> None:
    fairness.choose_lanes([entry.job for entry in group])
    rows = [job_rows.row_of(entry.job) for entry in sorted(group, key=_key)]
    for entry in group:
        entry.earlier = entry.error = None
    with transaction.atomic():
        job_rows.insert(rows)
        _find_earlier([entry for entry in group if entry.job.idempotency_key])
        if messages := [dispatch.for_job(entry.job) for entry in group if entry.is_fresh]:
            transaction.on_commit(partial(dispatch.publish_soon, messages))


def _key(entry: Entry) -> tuple[int, str]:
    """Two processes that write the same idempotency keys in one order cannot wait for each other."""
    return entry.job.owner_id, entry.job.idempotency_key or ""


def _find_earlier(keyed: Sequence[Entry]) -> None:
    """Losing to the same idempotency key is an answer, whether the winner is in this group or not."""
    if not keyed:
        return
    owners, keys = ({getattr(entry.job, name) for entry in keyed} for name in ("owner_id", "idempotency_key"))
    found = {
        (job.owner_id, job.idempotency_key): job
        for job in Job.objects.filter(owner_id__in=owners, idempotency_key__in=keys)
    }
    for entry in keyed:
        stored = found[entry.job.owner_id, entry.job.idempotency_key]
        if stored.request_hash != entry.job.request_hash:
            entry.error = KeyReused(key_reused(entry.job.idempotency_key))
        elif stored.pk != entry.job.id:
            entry.earlier = stored


def key_reused(key: str | None) -> str:
    return f"The idempotency key {key!r} was used with another body. Use a new key for a new request."


def _tell(group: Sequence[Entry]) -> None:
    """One call for each event loop; a process that serves has one."""
    for loop in {entry.written.get_loop() for entry in group if entry.written}:
        with suppress(RuntimeError):  # it has ended, and with it those who waited
            loop.call_soon_threadsafe(_wake, [entry for entry in group if entry.written])


def _wake(group: Sequence[Entry]) -> None:
    loop = asyncio.get_running_loop()
    for entry in group:
        if entry.written and entry.written.get_loop() is loop and not entry.written.done():
            entry.written.set_result(None)


def _say(group: Sequence[Entry]) -> None:
    jobs = [entry.job for entry in group if entry.is_fresh]
    say.news([[str(job.id), job.version, job.owner_id, job.state, job.done] for job in jobs])


_writer = Writer()

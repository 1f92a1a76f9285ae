"""Where a web process hears of changed jobs: wakes those who wait for an answer and feeds the open sockets.

One hub an event loop, started by whoever needs it first. Hints may be lost, so what is waited for or watched
alone is also looked up every two seconds, in one statement for all.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain
from typing import Any, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

from predictions import known_keys
from predictions.live import say, subscription
from predictions.live.frames import Change, Frames
from predictions.live.reading import read
from predictions.models import ENDED

log = logging.getLogger(__name__)
LOOK_EVERY_S = 2.0
LOOKED_UP_AT_ONCE = 500
FELL_BEHIND_AT = 1_000
ALL = "all"
CONSOLE = "console"
T = TypeVar("T")


def job_audience(job_id: UUID) -> str:
    return f"job:{job_id}"


def owner_audience(owner_id: int) -> str:
    return f"owner:{owner_id}"


async def is_set(event: asyncio.Event, within_s: float) -> bool:
    """Python 3.11's wait_for loses a cancellation that comes together with the event; timeout does not."""
    try:
        async with asyncio.timeout(within_s):
            return await event.wait()
    except TimeoutError:
        return False


class Waiter:
    """Somebody who waits for one job to end. A bare future: an event and a timeout cost three times as much."""

    __slots__ = ("_group", "_has_ended", "_key", "_waking", "ending")

    def __init__(self, group: defaultdict[str, set[Waiter]], key: str) -> None:
        self.ending: dict[str, Any] | None = None  # what the hint said of it, where it did
        self._group = group
        self._key = key
        self._has_ended = False
        self._waking: asyncio.Future[bool] | None = None

    async def ended(self, timeout_s: float) -> bool:
        """True as soon as the job has ended, False where it has not within the time."""
        if self._has_ended:
            return True
        loop = asyncio.get_running_loop()
        self._waking = loop.create_future()
        timer = loop.call_later(timeout_s, _settle, self._waking, False)
        try:
            return await self._waking
        finally:
            timer.cancel()

    def wake(self, ending: dict[str, Any] | None = None) -> None:
        self._has_ended = True
        self.ending = ending or self.ending
        if self._waking:
            _settle(self._waking, True)

    def __enter__(self) -> Waiter:
        self._group[self._key].add(self)
        return self

    def __exit__(self, *_: object) -> None:
        _leave(self._group, self._key, self)


def _settle(waking: asyncio.Future[bool], has_ended: bool) -> None:
    if not waking.done():
        waking.set_result(has_ended)


class Listener:
    """The changes that one broadcast has not fetched yet, the newest of each job."""

    def __init__(self, audience: str) -> None:
        self.audience = audience
        self.fell_behind = False
        self.has_missed = False
        self._has_heard = False
        self._changes: dict[str, Change] = {}
        self._news = asyncio.Event()

    def hear(self, changes: Iterable[Change]) -> None:
        self._has_heard = True
        self._changes |= {change.id: change for change in changes}
        if len(self._changes) > FELL_BEHIND_AT:
            self.fell_behind = True
            self._changes.clear()
        self._news.set()

    def miss(self) -> None:
        """Something may have been said that nobody here heard."""
        self.has_missed = True
        self._news.set()

    def wake(self) -> None:
        """Whoever waits for news is needed for something else."""
        self._news.set()

    async def news(self, within_s: float) -> list[Change] | None:
        """The changes since the last call, as soon as there are any; None where none were heard within the time."""
        await is_set(self._news, within_s)
        self._news.clear()
        if not self._has_heard:
            return None
        changes, self._changes = list(self._changes.values()), {}
        self._has_heard = False
        return changes


class Hub:
    """See the module; make none, ask `of_this_loop()`."""

    def __init__(self) -> None:
        self._waiters: defaultdict[str, set[Waiter]] = defaultdict(set)
        self._listeners: defaultdict[str, set[Listener]] = defaultdict(set)
        self.frames = 0  # that went out so far
        self._frames = Frames(self._fan_out)
        self._look_now = asyncio.Event()
        self.rights_changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks = [
            asyncio.create_task(subscription.listen([say.GROUP, say.CONSOLE_GROUP], self._hear, self._subscribed)),
            asyncio.create_task(self._keep_looking()),
        ]

    def expecting(self, job_id: UUID) -> Waiter:
        key = str(job_id)
        waiter = Waiter(self._waiters, key)
        if (newest := self._frames.newest(key)) and newest.state in ENDED:
            waiter.wake()
        return waiter

    @contextmanager
    def listening(self, audience: str) -> Iterator[Listener]:
        listener = Listener(audience)
        self._listeners[audience].add(listener)
        try:
            yield listener
        finally:
            _leave(self._listeners, audience, listener)

    def load(self) -> tuple[int, int]:
        """How many wait and how many listen."""
        return sum(map(len, self._waiters.values())), sum(map(len, self._listeners.values()))

    async def stop(self) -> None:
        self._frames.stop()
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    def _subscribed(self) -> None:
        known_keys.forget()
        self._look_now.set()
        for listener in chain.from_iterable(self._listeners.values()):
            listener.miss()

    def _hear(self, message: dict[str, Any]) -> None:
        handle = getattr(self, str(message.get("type")).replace(".", "_"), None)
        try:
            if handle in (self.jobs_changed, self.workers_changed, self.keys_changed):
                handle(message)
        except (KeyError, TypeError, ValueError):
            log.warning("A message of another version of this software was passed over: %.200r", message)

    def jobs_changed(self, message: dict[str, Any]) -> None:
        """The sixth of a row, where it has one, is for those who wait now; what is remembered of a job stays small."""
        for row in message["jobs"]:
            self._learn(Change(*row[:5]), *row[5:6])

    def keys_changed(self, message: dict[str, Any]) -> None:
        known_keys.forget()
        self.rights_changed.set_result(None)
        self.rights_changed = asyncio.get_running_loop().create_future()

    def workers_changed(self, message: dict[str, Any]) -> None:
        self._tell(CONSOLE, [])

    def _learn(self, change: Change, ending: dict[str, Any] | None = None) -> None:
        if change.state in ENDED:
            for waiter in self._waiters.get(change.id, ()):
                waiter.wake(ending)
        if self._listeners:
            self._frames.add(change)
        else:
            self._frames.remember(change)

    def _fan_out(self, changes: list[Change]) -> None:
        self.frames += 1
        audiences: defaultdict[str, list[Change]] = defaultdict(list)
        for change in changes:
            audiences[f"job:{change.id}"].append(change)
            audiences[f"owner:{change.owner_id}"].append(change)
        for audience, mine in (*audiences.items(), (ALL, changes), (CONSOLE, changes)):
            self._tell(audience, mine)

    def _tell(self, audience: str, changes: list[Change]) -> None:
        for listener in self._listeners.get(audience, ()):
            listener.hear(changes)

    async def _keep_looking(self) -> None:
        while True:
            await is_set(self._look_now, LOOK_EVERY_S)
            self._look_now.clear()
            try:
                await self._look()
            except Exception as error:  # the next look may succeed
                log.warning("Watched jobs could not be looked up: %s", error)

    async def _look(self) -> None:
        """What hints were lost for those who wait for, or watch, one job."""
        watched = [audience.removeprefix("job:") for audience in self._listeners if audience.startswith("job:")]
        ids = sorted({*self._waiters, *watched})
        for start in range(0, len(ids), LOOKED_UP_AT_ONCE):
            for row in await read(partial(_rows, ids[start : start + LOOKED_UP_AT_ONCE])):
                self._learn(Change(*row))


def _rows(ids: list[str]) -> list[list[Any]]:
    return say.news_of([UUID(job_id) for job_id in ids])


def _leave(groups: dict[str, set[T]], key: str, member: T) -> None:
    groups[key].discard(member)
    if not groups[key]:
        del groups[key]


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def of_this_loop() -> Hub:
    loop = asyncio.get_running_loop()
    hub = _hubs.get(loop)
    if hub is None:
        hub = _hubs[loop] = Hub()
    return hub


def expecting(job_id: UUID) -> Waiter:
    """`with expecting(id) as waiter: …; await waiter.ended(timeout_s)`. Also right for a job that has been submitted before."""
    return of_this_loop().expecting(job_id)


@contextmanager
def listening(audience: str) -> Iterator[Listener]:
    with of_this_loop().listening(audience) as listener:
        yield listener


def rights_changed() -> asyncio.Future[None]:
    """Done once somebody's key, account or rights are other than they are now; shared, so not to be cancelled."""
    return of_this_loop().rights_changed


async def stop() -> None:
    """End the hub of the running loop, where it has one."""
    hub = _hubs.pop(asyncio.get_running_loop(), None)
    if hub is not None:
        await hub.stop()

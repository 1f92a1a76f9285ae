"""Where a web process hears of changed jobs: wakes those who wait for an answer and feeds the open sockets.

One hub an event loop, started by whoever needs it first. Hints may be lost, so what is waited for or watched
alone is also looked up every two seconds, in one statement for all.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain
from typing import Any, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

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
    """Somebody who waits for one job to end."""

    def __init__(self) -> None:
        self._ended = asyncio.Event()

    async def ended(self, timeout_s: float) -> bool:
        """True as soon as the job has ended, False where it has not within the time."""
        return await is_set(self._ended, timeout_s)

    def wake(self) -> None:
        self._ended.set()


class Listener:
    """One socket's changes that were not yet fetched, the newest of each job."""

    def __init__(self, audience: str) -> None:
        self.audience = audience
        self.fell_behind = False
        self.has_missed = False
        self._changes: dict[str, Change] = {}
        self._news = asyncio.Event()

    def hear(self, changes: Iterable[Change]) -> None:
        self._changes |= {change.id: change for change in changes}
        if len(self._changes) > FELL_BEHIND_AT:
            self.fell_behind = True
            self._changes.clear()
        self._news.set()

    def miss(self) -> None:
        """Something may have been said that nobody here heard."""
        self.has_missed = True
        self._news.set()

    async def news(self, within_s: float) -> list[Change] | None:
        """The changes since the last call, as soon as there are any; None where there were none within the time."""
        if not await is_set(self._news, within_s):
            return None
        self._news.clear()
        changes, self._changes = list(self._changes.values()), {}
        return changes


class Hub:
    """See the module; make none, ask `of_this_loop()`."""

    def __init__(self) -> None:
        self._waiters: defaultdict[str, set[Waiter]] = defaultdict(set)
        self._listeners: defaultdict[str, set[Listener]] = defaultdict(set)
        self.frames = 0  # that went out so far
        self._builds: dict[Any, asyncio.Task[Any]] = {}
        self._frames = Frames(self._fan_out)
        self._look_now = asyncio.Event()
        self._tasks = [
            asyncio.create_task(subscription.listen([say.GROUP, say.CONSOLE_GROUP], self._hear, self._subscribed)),
            asyncio.create_task(self._keep_looking()),
        ]

    @contextmanager
    def expecting(self, job_id: UUID) -> Iterator[Waiter]:
        waiter = Waiter()
        key = str(job_id)
        if (newest := self._frames.newest(key)) and newest.state in ENDED:
            waiter.wake()
        with _member(self._waiters, key, waiter):
            yield waiter

    @contextmanager
    def listening(self, audience: str) -> Iterator[Listener]:
        listener = Listener(audience)
        with _member(self._listeners, audience, listener):
            yield listener

    async def once(self, key: Any, build: Callable[[], Awaitable[T]]) -> T:
        """What `build` gives; those who ask for the same at the same time share one."""
        task = self._builds.get(key)
        if task is None:
            task = self._builds[key] = asyncio.ensure_future(build())
            task.add_done_callback(lambda done: self._built(key, done))
        return await asyncio.shield(task)

    def load(self) -> tuple[int, int]:
        """How many wait and how many listen."""
        return sum(map(len, self._waiters.values())), sum(map(len, self._listeners.values()))

    async def stop(self) -> None:
        self._frames.stop()
        await subscription.close()
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    def _built(self, key: Any, done: asyncio.Task[Any]) -> None:
        del self._builds[key]
        if not done.cancelled():
            done.exception()  # whoever asked has it; if all have left, nobody needs to be told

    def _subscribed(self) -> None:
        self._look_now.set()
        for listener in chain.from_iterable(self._listeners.values()):
            listener.miss()

    def _hear(self, message: dict[str, Any]) -> None:
        handle = getattr(self, str(message.get("type")).replace(".", "_"), None)
        try:
            if handle in (self.jobs_changed, self.workers_changed):
                handle(message)
        except (KeyError, TypeError, ValueError):
            log.warning("A message of another version of this software was passed over: %.200r", message)

    def jobs_changed(self, message: dict[str, Any]) -> None:
        for row in message["jobs"]:
            self._learn(Change(*row))

    def workers_changed(self, message: dict[str, Any]) -> None:
        self._tell(CONSOLE, [])

    def _learn(self, change: Change) -> None:
        if change.state in ENDED:
            for waiter in self._waiters.get(change.id, ()):
                waiter.wake()
        self._frames.add(change)

    def _fan_out(self, changes: list[Change]) -> None:
        self.frames += 1
        audiences: defaultdict[str, list[Change]] = defaultdict(list)
        for change in changes:
            for audience in (f"job:{change.id}", f"owner:{change.owner_id}", ALL, CONSOLE):
                audiences[audience].append(change)
        for audience, mine in audiences.items():
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


@contextmanager
def _member(groups: dict[str, set[T]], key: str, member: T) -> Iterator[None]:
    groups[key].add(member)
    try:
        yield
    finally:
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


@contextmanager
def expecting(job_id: UUID) -> Iterator[Waiter]:
    """`with expecting(id) as waiter: …; await waiter.ended(timeout_s)`. Also right for a job that has been submitted before."""
    with of_this_loop().expecting(job_id) as waiter:
        yield waiter


@contextmanager
def listening(audience: str) -> Iterator[Listener]:
    with of_this_loop().listening(audience) as listener:
        yield listener


async def stop() -> None:
    """End the hub of the running loop, where it has one."""
    hub = _hubs.pop(asyncio.get_running_loop(), None)
    if hub is not None:
        await hub.stop()

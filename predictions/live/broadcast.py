"""What all sockets of one audience are shown: each frame is built once, by one task, as long as anybody watches."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from uuid import UUID
from weakref import WeakKeyDictionary

from predictions.live import hub
from predictions.live.frames import Change
from predictions.live.outbox import Outbox, hand_out
from predictions.live.reading import read
from predictions.live.screen import FAILED, FELL_BEHIND, Closed, Message, Screen

log = logging.getLogger(__name__)
RESTS = 1.0  # as long as it worked: one screen never takes more than half of a core
REMEMBERED = 500


class Glance:
    """When a screen is looked at without news of its own: soon where anything changed anywhere, else seldom."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._hub = hub.of_this_loop()
        self.looked()

    def looked(self) -> None:
        self._looked_at = self._tried_at = time.monotonic()
        self._frames = self._hub.frames

    def due_in_s(self) -> float:
        due_at = min(self._tried_at + self._screen.refresh_s, self._screen.owes_at)
        return max(0.0, due_at - time.monotonic())

    def is_worth_it(self) -> bool:
        now = time.monotonic()
        if now < self._tried_at + self._screen.refresh_s:
            return False
        self._tried_at = now
        if self._hub.frames == self._frames and now - self._looked_at < self._screen.quiet_refresh_s:
            return False
        self.looked()
        return True


class Broadcast:
    """See the module; make none, use `joined`."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._members: set[Outbox] = set()
        self._newcomers: set[Outbox] = set()
        self._sent: dict[str, str] = {}
        self._listener: hub.Listener | None = None
        self._spent_s = 0.0  # on what was built since the last rest
        self._task = asyncio.create_task(self._run())

    def add(self, outbox: Outbox) -> None:
        """It gets a snapshot, and from then on what all get."""
        self._newcomers.add(outbox)
        if self._listener:
            self._listener.wake()

    def remove(self, outbox: Outbox) -> bool:
        """True where nobody is left."""
        self._newcomers.discard(outbox)
        self._members.discard(outbox)
        return not self._newcomers and not self._members

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            await self._show_changes()
        except Closed as closed:
            self._close_all(closed)
        except Exception:
            log.exception("The screen %r failed.", self._screen.key)
            self._close_all(Closed(FAILED, "It failed. Connect again."))

    def _close_all(self, closed: Closed) -> None:
        """Whoever connects again gets a broadcast that has not failed."""
        _forget(self._screen.key, self)
        for outbox in self._members | self._newcomers:
            outbox.close(closed)

    async def _show_changes(self) -> None:
        with hub.listening(self._screen.audience) as self._listener:
            self._listener.wake()
            glance = Glance(self._screen)
            while True:
                changes = await self._listener.news(glance.due_in_s())
                self._spent_s = 0.0
                messages = await self._build(self._listener, changes, glance)
                await hand_out(self._fresh(messages), self._members)
                if self._newcomers:
                    await self._welcome()
                await asyncio.sleep(max(self._screen.pace_s, RESTS * self._spent_s))

    async def _build(
        self, listener: hub.Listener, changes: Sequence[Change] | None, glance: Glance
    ) -> Sequence[Message]:
        if listener.fell_behind:
            raise Closed(FELL_BEHIND, "Too much changed at once. Connect again for a snapshot.")
        if not self._members:
            return []
        if listener.has_missed:
            listener.has_missed = False
            return await self._read(self._screen.first)
        if changes is not None:
            if self._screen.news_shows_all:
                glance.looked()
            return await self._read(partial(self._screen.after, [UUID(change.id) for change in changes]))
        if time.monotonic() >= self._screen.owes_at:
            return await self._read(self._screen.owed)
        return await self._read(self._screen.later) if glance.is_worth_it() else []

    async def _welcome(self) -> None:
        """One snapshot for all who came meanwhile, read after they came."""
        asked = set(self._newcomers)
        messages = [message for message in await self._read(self._screen.first) if message.says_something()]
        await hand_out(self._fresh(message for message in messages if message.about), self._members)
        welcomed = asked & self._newcomers  # some have left
        self._newcomers -= welcomed
        self._members |= welcomed
        await hand_out(messages, welcomed)

    async def _read(self, build: Callable[[], Sequence[Message]]) -> Sequence[Message]:
        messages, spent_s = await read(partial(_with_cost, build))
        self._spent_s += spent_s
        return messages

    def _fresh(self, messages: Iterable[Message]) -> list[Message]:
        """Those that say something else than what was said before about the same."""
        fresh = []
        for message in filter(Message.says_something, messages):
            if not message.about or self._sent.pop(message.about, None) != message.text:
                fresh.append(message)
            if message.about:
                self._sent[message.about] = message.text
        while len(self._sent) > REMEMBERED:
            del self._sent[next(iter(self._sent))]
        return fresh


def _with_cost(build: Callable[[], Sequence[Message]]) -> tuple[Sequence[Message], float]:
    """And the CPU seconds it took: how long it had to wait for the processor says nothing of its work."""
    began_s = time.thread_time()
    return build(), time.thread_time() - began_s


_broadcasts: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, Broadcast]] = WeakKeyDictionary()


@asynccontextmanager
async def joined(screen: Screen, outbox: Outbox) -> AsyncIterator[None]:
    """Sockets whose screens have the same key share one broadcast, which shows the screen of the first of them."""
    running = _broadcasts.setdefault(asyncio.get_running_loop(), {})
    broadcast = running.get(screen.key)
    if broadcast is None:
        broadcast = running[screen.key] = Broadcast(screen)
    broadcast.add(outbox)
    try:
        yield
    finally:
        if broadcast.remove(outbox):
            _forget(screen.key, broadcast)
            await broadcast.stop()


def _forget(key: Hashable, broadcast: Broadcast) -> None:
    running = _broadcasts[asyncio.get_running_loop()]
    if running.get(key) is broadcast:
        del running[key]

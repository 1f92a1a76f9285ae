"""A websocket's life, whatever it shows: who is there, a snapshot, then changes, until somebody leaves.

The hub alone listens to Redis; a socket listens to the hub.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qsl
from uuid import UUID

from channels.generic.websocket import AsyncWebsocketConsumer

from predictions.live import hub
from predictions.live.frames import Change
from predictions.live.reading import read
from predictions.live.visitor import visitor_of

log = logging.getLogger(__name__)
CHECK_EVERY_S = 60.0
SEND_WITHIN_S = 10.0
GOODBYE_WITHIN_S = 1.0
RESTS = 2.0
REMEMBERED = 500

# hx-ws comes back after codes of the 1011 to 1014 kind and stays away after any other.
FAILED, ASK_AGAIN, FELL_BEHIND = 1011, 1012, 1013
NOT_SIGNED_IN, NOT_PERMITTED, NOT_FOUND = 4401, 4403, 4404
T = TypeVar("T")


class Closed(Exception):
    """The socket is to be closed with a code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Message:
    """One websocket message. about: what it shows; it is not sent twice in a row with the same text."""

    about: str
    text: str

    def says_something(self) -> bool:
        return bool(self.text.strip())


class Screen(ABC):
    """What one socket shows to one viewer. Its methods run in a thread and may use the database."""

    refresh_s = 10.0
    quiet_refresh_s = 10.0
    pace_s = 0.0
    audience: str

    def __init__(self, viewer: Any, query: dict[str, str]) -> None:
        self.viewer = viewer
        self.query = query

    @abstractmethod
    def first(self) -> Sequence[Message]:
        """A snapshot of all that the page shows."""

    @abstractmethod
    def after(self, ids: Sequence[UUID]) -> Sequence[Message]:
        """What is different now that these jobs have changed."""

    def later(self) -> Sequence[Message]:
        """What may have become different without news."""
        return self.first()

    @property
    def rights(self) -> tuple[str, bool]:
        return self.audience, self.viewer.is_staff


class Glance:
    """When a screen is looked at without news of its own: soon where anything changed anywhere, else seldom."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._hub = hub.of_this_loop()
        self._looked()

    def _looked(self) -> None:
        self._looked_at = self._tried_at = time.monotonic()
        self._frames = self._hub.frames

    def due_in_s(self) -> float:
        return max(0.0, self._tried_at + self._screen.refresh_s - time.monotonic())

    def is_worth_it(self) -> bool:
        self._tried_at = time.monotonic()
        if self._hub.frames == self._frames and self._tried_at - self._looked_at < self._screen.quiet_refresh_s:
            return False
        self._looked()
        return True


class LiveSocket(AsyncWebsocketConsumer):
    """A consumer that sends what its screen shows; what the client sends is ignored."""

    channel_layer_alias = "none"  # the hub listens for all; Channels would subscribe once a socket
    _serving: asyncio.Task[None] | None = None
    _is_lost = False
    _checked_at = 0.0

    def screen(self, viewer: Any, query: dict[str, str]) -> Screen:
        """Runs in a thread. Raises Closed where the viewer may not see it."""
        raise NotImplementedError

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self._sent: dict[str, int] = {}
        self._caller = asyncio.current_task()
        try:
            await super().__call__(scope, receive, send)
        except asyncio.CancelledError:
            if not self._is_lost:
                raise
        finally:
            if self._serving:
                self._serving.cancel()
                await asyncio.wait([self._serving])

    async def connect(self) -> None:
        await self.accept()
        self._serving = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        try:
            await self._show_changes()
        except Closed as closed:
            await self._say_goodbye(closed.code, closed.reason)
        except OSError:  # the client has gone; the server tells `receive` as well
            return
        except Exception:
            log.exception("The socket %s failed.", self.scope["path"])
            await self._say_goodbye(FAILED, "It failed. Connect again.")

    async def _show_changes(self) -> None:
        screen = await self._admit()
        with hub.listening(screen.audience) as listener:
            await self._show(await read(screen.first))
            self._checked_at = time.monotonic()
            glance = Glance(screen)
            while True:
                changes = await listener.news(glance.due_in_s())
                if listener.fell_behind:
                    raise Closed(FELL_BEHIND, "Too much changed at once. Connect again for a snapshot.")
                await self._check_now_and_then(screen)
                began = time.monotonic()
                if listener.has_missed:
                    listener.has_missed = False
                    await self._show(await read(screen.first))
                elif changes is not None:
                    await self._show(await self._shared(screen, changes))
                elif glance.is_worth_it():
                    await self._show(await read(screen.later))
                await asyncio.sleep(max(screen.pace_s, RESTS * (time.monotonic() - began)))

    async def _admit(self) -> Screen:
        viewer = await visitor_of(self.scope)
        if viewer is None:
            raise Closed(NOT_SIGNED_IN, "Sign in, or send a valid API key.")
        query = dict(parse_qsl(self.scope["query_string"].decode("latin-1")))
        return await read(partial(self.screen, viewer, query))

    async def _check_now_and_then(self, screen: Screen) -> None:
        if time.monotonic() - self._checked_at < CHECK_EVERY_S:
            return
        self._checked_at = time.monotonic()
        if (await self._admit()).rights != screen.rights:
            raise Closed(ASK_AGAIN, "What you may see has changed. Connect again.")

    async def _shared(self, screen: Screen, changes: Sequence[Change]) -> Sequence[Message]:
        """Sockets that show the same to the same user share the work."""
        news = tuple(sorted((change.id, change.version) for change in changes))
        key = (type(screen), screen.viewer.pk, tuple(screen.query.items()), self.scope["path"], news)
        return await hub.of_this_loop().once(
            key, partial(read, partial(screen.after, [UUID(change.id) for change in changes]))
        )

    async def _show(self, messages: Sequence[Message]) -> None:
        for message in filter(Message.says_something, messages):
            mark = hash(message.text)
            if self._sent.pop(message.about, None) != mark:
                await self._send_in_time(message.text)
            self._sent[message.about] = mark
        while len(self._sent) > REMEMBERED:
            del self._sent[next(iter(self._sent))]

    async def _send_in_time(self, text: str) -> None:
        try:
            async with asyncio.timeout(SEND_WITHIN_S):
                await self.send(text)
        except TimeoutError:
            raise Closed(FELL_BEHIND, "The messages were not read. Connect again for a snapshot.") from None

    async def _say_goodbye(self, code: int, reason: str) -> None:
        """A reader that does not read does not hear it either; then the server is left to cut the connection."""
        try:
            async with asyncio.timeout(GOODBYE_WITHIN_S):
                await self.close(code, reason)
        except TimeoutError:
            self._is_lost = True
            if self._caller:
                self._caller.cancel()
        except (OSError, RuntimeError):  # it was closed meanwhile
            return

"""A websocket's life, whatever it shows: who is there, what they may see, until somebody leaves.

The hub alone listens to Redis; a broadcast listens to the hub and fills the outboxes of the sockets.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from channels.generic.websocket import AsyncWebsocketConsumer

from predictions.live import broadcast, hub
from predictions.live.outbox import Outbox
from predictions.live.reading import read
from predictions.live.screen import FAILED, NOT_SIGNED_IN, RIGHTS_CHANGED, Closed, Screen
from predictions.live.visitor import visitor_of

log = logging.getLogger(__name__)
CHECK_EVERY_S = 60.0
GOODBYE_WITHIN_S = 1.0


class LiveSocket(AsyncWebsocketConsumer):
    """A consumer that sends what its screen shows; what the client sends is ignored."""

    channel_layer_alias = "none"  # the hub listens for all; Channels would subscribe once a socket
    _serving: asyncio.Task[None] | None = None
    _is_lost = False

    def screen(self, viewer: Any, query: dict[str, str]) -> Screen:
        """Runs in a thread. Raises Closed where the viewer may not see it."""
        raise NotImplementedError

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
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
            await self._show()
        except Closed as closed:
            await self._say_goodbye(closed.code, closed.reason)
        except Exception:
            log.exception("The socket %s failed.", self.scope["path"])
            await self._say_goodbye(FAILED, "It failed. Connect again.")

    async def _show(self) -> None:
        """Until it is to be closed. Who they are, and what they may see, is asked when it may have changed, and again and again."""
        changed = hub.rights_changed()
        screen, outbox = await self._admit(), Outbox(self.base_send)
        async with broadcast.joined(screen, outbox):
            while not await _is_closing(outbox, changed):
                changed = hub.rights_changed()
                if (await self._admit()).rights != screen.rights:
                    raise Closed(RIGHTS_CHANGED, "What you may see has changed. Connect again.")
        raise outbox.closing.result()

    async def _admit(self) -> Screen:
        viewer = await visitor_of(self.scope)
        if viewer is None:
            raise Closed(NOT_SIGNED_IN, "Sign in, or send a valid API key.")
        query = dict(parse_qsl(self.scope["query_string"].decode("latin-1")))
        return await read(partial(self.screen, viewer, query))

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


async def _is_closing(outbox: Outbox, changed: asyncio.Future[None]) -> bool:
    """False where it is time to ask again."""
    either: list[asyncio.Future[Any]] = [outbox.closing, changed]
    await asyncio.wait(either, timeout=CHECK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
    return outbox.closing.done()

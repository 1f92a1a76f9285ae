"""Sockets for tests, in the test's own process: who opens them, and what they are told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from channels.sessions import CookieMiddleware
from django.db import connection
from django.test import Client

SOON_S = 3.0
SILENCE_S = 0.4


async def in_thread(act: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """In one of the loop's own threads, which end with the test: no connection stays with them."""

    def acted() -> Any:
        try:
            return act(*given, **named)
        finally:
            connection.close()

    return await sync_to_async(acted, thread_sensitive=False)()


def session_key(user: Any) -> str:
    client = Client()
    client.force_login(user)
    return str(client.session.session_key)


async def headers_of(user: Any) -> list[tuple[bytes, bytes]]:
    return [(b"cookie", b"sessionid=" + (await in_thread(session_key, user)).encode())]


class Socket(ApplicationCommunicator):
    """A client that reads JSON jobs."""

    def __init__(self, app: Any, path: str, headers: list[tuple[bytes, bytes]]) -> None:
        path, _, query = path.partition("?")
        super().__init__(app, {"type": "websocket", "path": path, "query_string": query.encode(), "headers": headers})

    async def connect(self) -> None:
        await self.send_input({"type": "websocket.connect"})
        assert (await self.receive_output(SOON_S))["type"] == "websocket.accept"

    async def text(self) -> str:
        return str((await self.receive_output(SOON_S))["text"])

    async def job(self) -> dict[str, Any]:
        message = json.loads(await self.text())
        assert message["type"] == "job"
        return dict(message["job"])

    async def code(self) -> int:
        """The code it is closed with, whatever is said before."""
        while (output := await self.receive_output(SOON_S))["type"] != "websocket.close":
            continue
        return int(output["code"])

    async def statuses(self, for_s: float = SILENCE_S) -> list[str]:
        """The status in each message that arrives until it is silent."""
        found = []
        while not await self.receive_nothing(for_s, 0.01):
            found.append((await self.job())["status"])
        return found


@asynccontextmanager
async def opened(router: Any, path: str, headers: list[tuple[bytes, bytes]]) -> AsyncIterator[Socket]:
    socket = Socket(CookieMiddleware(router), path, headers)
    await socket.connect()
    try:
        yield socket
    finally:
        await socket.send_input({"type": "websocket.disconnect", "code": 1001})
        await socket.wait(SOON_S)

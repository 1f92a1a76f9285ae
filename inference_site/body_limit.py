"""The guard in front of everything: refuses a body by its size or encoding before it is read to its end.

Django reads the whole body before its own limits answer, and they never limit files (facts 22).
"""

from __future__ import annotations

from asyncio import timeout
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from django.conf import settings

from predictions.errors import Refused, TooLarge, UnsupportedType
from predictions.problems import headers_of, problem_bytes
from predictions.unavailable import unavailable_for
from predictions.upload_door import UPLOADS

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MB = 1024 * 1024
JSON_BYTES = 64 * MB
OTHER_BYTES = MB
FORM_BYTES = MB  # what a form has around its file
# So much of a refused body is read and thrown away, so that its sender sees the sentence and not a reset connection.
DRAINED_BYTES = 64 * MB
DRAINED_S = 10.0


class BodyLimit:
    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send)
        try:
            exchange.refuse_by_headers()
            await self._app(scope, exchange.receive, exchange.send)
        except Refused as refused:
            await exchange.refuse(refused)
        except OSError as error:  # Django keeps a body on disk while it arrives
            if (unavailable := unavailable_for(error)) is None:
                raise
            await exchange.refuse(unavailable)


class Exchange:
    """One request and its answer, as far as the guard cares.

    Whoever answers before the body has been read ends the connection: the answer goes out whole and at once, and ends
    only when the rest of the body has been thrown away, so that the sender reads it.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._headers = {name.lower(): value for name, value in scope["headers"]}
        self._limit = _limit_of(scope["path"], self._headers.get(b"content-type", b""))
        self._receive = receive
        self._send = send
        self._size_bytes = 0
        self._has_answered = False
        self._has_more = self._headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in self._headers

    def refuse_by_headers(self) -> None:
        encoding = self._headers.get(b"content-encoding", b"identity").decode("latin-1").strip()
        if encoding.lower() != "identity":
            raise UnsupportedType(
                f"The body has the Content-Encoding '{encoding[:40]}'; bodies are taken uncompressed only."
            )
        length = self._headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._limit:
            raise self._too_large()

    async def receive(self) -> Message:
        """Raises TooLarge inside the app, which has no use for a body that is too large either."""
        message = await self._receive()
        self._size_bytes += len(message.get("body", b""))
        self._has_more = message["type"] == "http.request" and message.get("more_body", False)
        if self._size_bytes > self._limit:
            raise self._too_large()
        return message

    async def send(self, message: Message) -> None:
        self._has_answered = True
        if not self._has_more:
            await self._send(message)
        elif message["type"] == "http.response.start":
            await self._send({**message, "headers": [*message["headers"], (b"connection", b"close")]})
        elif message.get("more_body", False):
            await self._send(message)
        else:
            await self._send({**message, "more_body": True})
            with suppress(TimeoutError):
                await self._drain()
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def refuse(self, refused: Refused) -> None:
        if self._has_answered:
            raise refused
        body = problem_bytes(refused)
        headers = headers_of(refused) | {"Content-Length": str(len(body))}
        encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": refused.status, "headers": encoded})
        await self.send({"type": "http.response.body", "body": body})

    async def _drain(self) -> None:
        drained = 0
        async with timeout(DRAINED_S):
            while self._has_more and drained < DRAINED_BYTES:
                message = await self._receive()
                drained += len(message.get("body", b""))
                self._has_more = message["type"] == "http.request" and message.get("more_body", False)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body is larger than {self._limit:,} bytes, the most that is taken here.")


def _limit_of(path: str, content_type: bytes) -> int:
    if b"json" in content_type.partition(b";")[0].lower():
        return JSON_BYTES
    return settings.MAX_UPLOAD_BYTES + FORM_BYTES if path in UPLOADS else OTHER_BYTES

"""A request's file while it is being sent: the bare body, or the file of a form with the fields before it known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any, cast

from django.http import HttpRequest

from predictions.errors import Refused
from predictions.form_bodies import FormBody

SCOPE_KEY = "arriving"
FORM = "multipart/form-data"
BLOCK_BYTES = 1 << 18  # larger ones cost as much CPU, and more memory
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class Arriving:
    """headers: of the request, in lower case. announced_bytes: what the whole body is to have, where that was said."""

    def __init__(self, headers: Mapping[bytes, bytes], receive: Receive) -> None:
        given = headers.get(b"content-type", b"").decode("latin-1")
        length = headers.get(b"content-length", b"")
        self.content_type = given.partition(";")[0].strip().lower()
        self.announced_bytes = int(length) if length.isdigit() else None
        self.form: FormBody | None = None
        self._given_type = given
        self._receive = receive
        self._has_more = True
        self._head = b""
        self._fault: Refused | None = None
        self._at_end = asyncio.Event()

    @property
    def fields_before(self) -> dict[str, str]:
        """Of a form: what came before its file, however its bytes were cut; of one without a file all."""
        return {} if self.form is None else self.fields if self.file_name is None else self.form.fields_before

    @property
    def fields(self) -> dict[str, str]:
        """Of a form: what has come so far."""
        return self.form.fields if self.form else {}

    @property
    def file_name(self) -> str | None:
        return self.form.file_name if self.form else ""

    async def read_head(self) -> None:
        """Of a form: all that comes before its file. What is wrong with it is told to who asks for the file."""
        try:
            if self.content_type == FORM:
                self.form = FormBody(self._given_type)
                while self._has_more and self.form.file_name is None and not self.form.has_ended:
                    self._head = self.form.take(await self._next())
        except Refused as refusal:
            self._fault = refusal

    def demand_head(self) -> None:
        if self._fault:
            raise self._fault

    async def blocks(self) -> AsyncIterator[bytes]:
        """The rest of the body: what has come is given at once, as it may be judged already; then larger blocks."""
        wanted = 1
        while self._has_more:
            gathered: list[bytes] = []
            while self._has_more and sum(map(len, gathered)) < wanted:
                gathered.append(await self._next_for_view())
            yield b"".join(gathered)
            wanted = BLOCK_BYTES

    def take(self, block: bytes) -> bytes:
        """The bytes of the file that stand in a block of the body. May raise Refused."""
        return self.form.take(block) if self.form else block

    def take_head(self) -> bytes:
        """The bytes of the file that came with what stands before it."""
        head, self._head = self._head, b""
        return head

    def close(self) -> None:
        if self.form:
            self.form.close()

    async def until_left(self) -> Message:
        """What Django is to hear next: that the client has left. One alone listens, until the body's end its reader."""
        await self._at_end.wait()
        return await self._receive()

    async def _next_for_view(self) -> bytes:
        try:
            return await self._next()
        except ClientLeft:
            await asyncio.Event().wait()  # Django hears of it and cancels the view
            raise

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._at_end.set()
            raise ClientLeft
        self._has_more = message.get("more_body", False)
        if not self._has_more:
            self._at_end.set()
        return cast(bytes, message.get("body", b""))


class ClientLeft(Exception):
    """Nobody is there to be answered."""


def arriving_of(request: HttpRequest) -> Arriving:
    """Raises Refused where what stands before the file cannot be read."""
    arriving = cast(Any, request).scope[SCOPE_KEY]
    arriving.demand_head()
    return cast(Arriving, arriving)

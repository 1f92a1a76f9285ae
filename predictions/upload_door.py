"""The door for files: Django is asked with what stands before the file, and the view reads the file as it arrives.

Django would read the whole body into a temporary file before it asked who sends it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlencode

from predictions.api_reading import JSON
from predictions.arriving import FORM, SCOPE_KEY, Arriving, ClientLeft, Message, Receive

BATCHES = "/api/v1/batch-predict"
UPLOADS = {BATCHES, "/drafts/"}
ROWS = {b"", JSON.encode()}
FIELDS = b"application/x-www-form-urlencoded"
Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class UploadDoor:
    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.lower(): value for name, value in scope["headers"]}
        if not _is_file(scope, headers):
            await self._app(scope, receive, send)
            return
        arriving = Arriving(headers, receive)
        try:
            await arriving.read_head()
        except ClientLeft:
            return
        body = urlencode(arriving.fields_before).encode()
        await self._app(_with_fields(scope, arriving, body), _of_django(body, arriving), send)


def _is_file(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    if scope["path"] not in UPLOADS or scope["method"] != "POST":
        return False
    given = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return scope["path"] != BATCHES or given not in ROWS


def _with_fields(scope: Scope, arriving: Arriving, body: bytes) -> Scope:
    """The fields before the file as a form of their own: Django finds the CSRF token there."""
    headers = scope["headers"]
    if arriving.content_type == FORM:
        headers = [(name, value) for name, value in headers if name.lower() not in {b"content-type", b"content-length"}]
        headers += [(b"content-type", FIELDS), (b"content-length", b"%d" % len(body))]
    return {**scope, "headers": headers, SCOPE_KEY: arriving}


def _of_django(body: bytes, arriving: Arriving) -> Receive:
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Message:
        return next(messages, None) or await arriving.until_left()

    return receive

"""The lean door: answers the two hot calls of the JSON API without Django's layers (facts 21), as Django would.

What it does not answer itself goes to Django's handler, which stays the reference.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string

from predictions import api_reading, known_keys, rights
from predictions.api_answers import JSON, NOT_STORED, Answer
from predictions.api_finding import show_once_ended
from predictions.api_submitting import submit_vector
from predictions.db_threads import in_db_thread
from predictions.models import Job
from predictions.plain_calls import Call, call_of
from predictions.problems import headers_of, problem_bytes, refusal_for

WATCHED_AFTER_S = 0.25
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]
Plain = tuple[int, Mapping[str, str], bytes]
"""Status, headers, body."""


class Lean:
    def __init__(self, pages: App) -> None:
        self._pages = pages
        self._added: dict[bool, list[Header]] = {}

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        call = call_of(scope)
        user = None if call is None else await _user_of(call)
        if call is None or user is None:
            await self._pages(scope, receive, send)
            return
        if call.is_submit:
            body = await _body(receive)
            if body is None:
                return
            call.body = body
        with Watch(receive) as client:
            try:
                await self._send(send, call, await _answer(call, user))
            except asyncio.CancelledError:
                if not client.has_left:
                    raise

    async def _send(self, send: Send, call: Call, answer: Plain) -> None:
        status, headers, body = answer
        encoded = [*_encoded(headers), (b"content-length", b"%d" % len(body)), *self._added_to(call)]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        await send({"type": "http.response.body", "body": body})

    def _added_to(self, call: Call) -> list[Header]:
        if call.is_secure not in self._added:
            self._added[call.is_secure] = _encoded(_headers_of_middleware(call.is_secure))
        return self._added[call.is_secure]


class Watch:
    """Cancels the request once its client has left. Begins late: nearly all are answered before."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._watching: asyncio.Task[None] | None = None
        self.has_left = False

    def __enter__(self) -> Watch:
        self._request = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(WATCHED_AFTER_S, self._begin)
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._watching:
            self._watching.cancel()

    def _begin(self) -> None:
        self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.has_left = True
        if self._request:
            self._request.cancel()


async def _user_of(call: Call) -> AbstractBaseUser | None:
    """None where Django is to say what is wrong with the key."""
    return known_keys.user_of(call.key) or await in_db_thread(known_keys.look_up, call.key)


async def _body(receive: Receive) -> bytes | None:
    """None where the client left before it was sent."""
    body, has_more = b"", True
    while has_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        has_more = message.get("more_body", False)
    return body


async def _answer(call: Call, user: AbstractBaseUser) -> Plain:
    try:
        answer = await (_submit(call, user) if call.is_submit else _show(call, user))
    except Exception as error:
        refused = refusal_for(error, call.method, call.path)
        return refused.status, headers_of(refused), problem_bytes(refused)
    headers = {**answer.headers, "Content-Type": JSON, "Cache-Control": NOT_STORED}
    return answer.status, headers, answer.body


async def _submit(call: Call, user: AbstractBaseUser) -> Answer:
    rights.demand(user, rights.SUBMIT)
    return await submit_vector(user, api_reading.vector_request(call), api_reading.preferred_wait_s(call))


async def _show(call: Call, user: AbstractBaseUser) -> Answer:
    assert call.job_id
    return Answer(await show_once_ended(Job.objects.of(user), call.job_id, call.wait_s))


def _encoded(headers: Mapping[str, str]) -> list[Header]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]


class SecureRequest(HttpRequest):
    def is_secure(self) -> bool:
        return True


def _headers_of_middleware(is_secure: bool) -> dict[str, str]:
    """What Django's middleware adds to every answer in JSON. It is asked once, with an empty one."""
    request, response = (SecureRequest if is_secure else HttpRequest)(), HttpResponse(content_type=JSON)
    for path in reversed(settings.MIDDLEWARE):
        middleware = import_string(path)
        if hasattr(middleware, "process_response"):
            response = middleware(lambda _: HttpResponse()).process_response(request, response)
    return {name: value for name, value in response.items() if name not in {"Content-Type", "Content-Length"}}

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from inference_site import body_limit
from inference_site.body_limit import MB, BodyLimit
from tests.exchanges import BLOCK, Exchange


async def reads_all(scope: Any, receive: Any, send: Any) -> None:
    """An app that answers with the number of bytes it was given."""
    size = 0
    while True:
        message = await receive()
        size += len(message["body"])
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def zeros(size_bytes: int) -> Iterator[bytes]:
    for start in range(0, size_bytes, BLOCK):
        yield bytes(min(BLOCK, size_bytes - start))


async def exchange(path: str, size_bytes: int, **headers: str) -> Exchange:
    done = Exchange(path, zeros(size_bytes), {name.replace("_", "-"): value for name, value in headers.items()})
    await BodyLimit(reads_all)(done.scope, done.receive, done.send)
    return done


async def test_a_body_within_the_limit_reaches_the_app_whole() -> None:
    done = await exchange("/api/v1/predict", 3 * MB, Content_Type="application/json")
    assert (done.status, done.body) == (200, str(3 * MB).encode())


async def test_a_body_that_says_it_is_too_large_is_answered_before_any_of_it_is_read() -> None:
    done = await exchange("/sign-in/", 2 * MB, Content_Length=str(2 * MB))
    assert (done.status, done.read_before_answer) == (413, 0)


async def test_a_body_that_does_not_say_its_size_is_answered_at_the_limit() -> None:
    done = await exchange("/sign-in/", 20 * MB)
    assert done.status == 413 and (done.read_before_answer or 0) <= MB + BLOCK


async def test_a_refused_body_is_read_to_its_end_so_that_its_sender_sees_why() -> None:
    done = await exchange("/sign-in/", 20 * MB, Content_Length=str(20 * MB))
    assert (done.has_more, done.sent[-1]) == (False, {"type": "http.response.body", "body": b"", "more_body": False})


async def test_no_more_than_64_mb_of_a_refused_body_are_read() -> None:
    done = await exchange("/sign-in/", 200 * MB, Content_Length=str(200 * MB))
    assert done.read_bytes == 64 * MB


async def test_a_client_that_sends_slowly_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit, "DRAINED_S", 0.05)
    done = Exchange("/", zeros(2 * MB), {"content-length": str(2 * MB)})

    async def never() -> Any:
        await asyncio.Event().wait()

    await BodyLimit(reads_all)(done.scope, never, done.send)
    assert done.status == 413 and not done.sent[-1]["more_body"]


async def test_the_answer_is_a_problem_with_its_length_and_ends_the_connection() -> None:
    done = await exchange("/", 2 * MB)
    assert done.headers["content-type"] == "application/problem+json" and done.headers["connection"] == "close"
    assert int(done.headers["content-length"]) == len(done.body)
    assert json.loads(done.body)["detail"] == "The body is larger than 1,048,576 bytes, the most that is taken here."


@pytest.mark.parametrize("encoding", ["gzip", "br", "GZIP, deflate"])
async def test_a_compressed_body_is_415(encoding: str) -> None:
    assert (await exchange("/api/v1/batch-predict", 10, Content_Encoding=encoding)).status == 415


async def test_identity_is_no_compression() -> None:
    assert (await exchange("/api/v1/predict", 10, Content_Encoding="identity")).status == 200


LIMITS = [
    ("/api/v1/predict", "application/json", 64 * MB),
    ("/api/v1/batch-predict", "application/json; charset=utf-8", 64 * MB),
    ("/api/v1/batch-predict", "text/csv", 5 * MB),
    ("/drafts/", "multipart/form-data; boundary=x", 5 * MB),
    ("/api/v1/predict", "text/csv", MB),
    ("/keys/", "application/x-www-form-urlencoded", MB),
]


@pytest.mark.parametrize(("path", "content_type", "most_bytes"), LIMITS)
async def test_each_kind_of_body_has_its_limit(path: str, content_type: str, most_bytes: int, settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = 4 * MB
    within, over = [await exchange(path, size, Content_Type=content_type) for size in (most_bytes, most_bytes + 1)]
    assert (within.status, over.status) == (200, 413)


async def test_a_websocket_passes_untouched() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    await BodyLimit(app)({"type": "websocket"}, Exchange("/", [], {}).receive, Exchange("/", [], {}).send)
    assert seen == ["websocket"]

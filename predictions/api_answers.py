"""How the JSON API answers: JSON in one piece, or streamed in blocks; files are answered by downloads.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.http import HttpResponse, StreamingHttpResponse

from predictions.models import ENDED

Shown = dict[str, Any]
JSON = "application/json"
NOT_STORED = "private, no-store"
"""The Cache-Control of every answer that has no other."""


@dataclass(frozen=True, slots=True)
class Answer:
    """JSON that every door answers in its own way."""

    shown: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        return orjson.dumps(self.shown)


def answer(shown: object) -> HttpResponse:
    return response(Answer(shown))


def response(given: Answer) -> HttpResponse:
    return HttpResponse(given.body, content_type=JSON, status=given.status, headers=given.headers)


def accepted(shown: Shown, is_replayed: bool = False, waited: bool = False) -> Answer:
    """202 with where the job is; 200 for who waited and lived to see its end."""
    headers = {"Location": shown["links"]["self"]} | ({"Idempotent-Replayed": "true"} if is_replayed else {})
    return Answer(shown, 200 if waited and shown["status"] in ENDED else 202, headers)


def json_stream(blocks: AsyncIterator[bytes]) -> StreamingHttpResponse:
    return StreamingHttpResponse(blocks, content_type=JSON)

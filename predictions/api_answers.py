"""How the JSON API answers: JSON in one piece, or a file streamed in blocks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
from django.http import HttpResponse, StreamingHttpResponse

from predictions.models import ENDED

Shown = dict[str, Any]
CSV = "text/csv; charset=utf-8"
JSON = "application/json"


def answer(body: object, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(orjson.dumps(body), content_type=JSON, status=status, headers=headers)


def accepted(shown: Shown, is_replayed: bool = False, waited: bool = False) -> HttpResponse:
    """202 with where the job is; 200 for who waited and lived to see its end."""
    headers = {"Location": shown["links"]["self"]} | ({"Idempotent-Replayed": "true"} if is_replayed else {})
    return answer(shown, 200 if waited and shown["status"] in ENDED else 202, headers)


def csv_file(blocks: AsyncIterator[bytes], name: str, size_bytes: int) -> StreamingHttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Length": str(size_bytes)}
    return StreamingHttpResponse(blocks, content_type=CSV, headers=headers)


def json_stream(blocks: AsyncIterator[bytes]) -> StreamingHttpResponse:
    return StreamingHttpResponse(blocks, content_type=JSON)

"""A refusal as an answer: application/problem+json (RFC 9457)."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpResponse

from predictions.errors import Refused

MEDIA_TYPE = "application/problem+json"


def problem_json(refused: Refused) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": f"urn:problem:{refused.code}",
        "title": refused.title,
        "status": refused.status,
        "detail": refused.detail,
        "code": refused.code,
    }
    if refused.errors:
        body |= {"errors": refused.errors, "error_count": refused.error_count}
    return body


def problem_bytes(refused: Refused) -> bytes:
    """Plain ASCII: what was given is quoted in it, and need not be valid Unicode."""
    return json.dumps(problem_json(refused)).encode()


def headers_of(refused: Refused) -> dict[str, str]:
    headers = {"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store"}
    if refused.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="api"'
    if refused.retry_after_s is not None:
        headers["Retry-After"] = str(refused.retry_after_s)
    return headers


def problem(refused: Refused) -> HttpResponse:
    """With its Content-Length: what is refused early passes no middleware that would add it."""
    body = problem_bytes(refused)
    return HttpResponse(body, status=refused.status, headers=headers_of(refused) | {"Content-Length": str(len(body))})

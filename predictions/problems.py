"""A refusal as an answer: application/problem+json (RFC 9457)."""

from __future__ import annotations

import json
import logging
from typing import Any

from django.http import HttpResponse

from predictions.errors import Internal, Refused
from predictions.unavailable import unavailable_for

log = logging.getLogger(__name__)
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


def refusal_for(error: Exception, method: str | None, path: str) -> Refused:
    """What is told of any error that a request met; what is our fault is logged."""
    if isinstance(error, Refused):
        return error
    if unavailable := unavailable_for(error):
        log.warning("%s %s: %s %s", method, path, unavailable.detail, error)
        return unavailable
    log.error("%s %s failed", method, path, exc_info=error)
    return Internal("The request could not be answered because of a fault on our side; it has been logged.")

"""Which requests the lean door answers: the two hot calls, sent plainly and with an API key. All others are Django's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http.request import split_domain_port, validate_host
from django.utils.http import parse_header_parameters

from predictions.api_reading import LONGEST_WAIT_S

PREDICT = "/api/v1/predict"
JOB = re.compile(r"/api/v1/jobs/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})")
WAIT = re.compile(rb"wait=(\d{1,2}(?:\.\d{1,6})?)")
BEARER = "bearer "
MOST_BYTES = 64 * 1024


@dataclass(slots=True)
class Call:
    """A plain request. job_id: None where a vector is submitted, whose body is read later; wait_s: of the query string."""

    method: str
    path: str
    headers: Mapping[str, str]
    is_secure: bool
    job_id: UUID | None = None
    wait_s: float = 0.0
    body: bytes = b""

    @property
    def is_submit(self) -> bool:
        return self.job_id is None

    @property
    def content_type(self) -> str:
        return _type_of(self.headers.get("content-type", ""))

    @property
    def key(self) -> str:
        return self.headers["authorization"].strip()[len(BEARER) :].strip()


def call_of(scope: Mapping[str, Any]) -> Call | None:
    """None for whatever is not quite plain."""
    path: str = scope["path"]
    is_submit = path == PREDICT and scope["method"] == "POST"
    found = None if is_submit or scope["method"] != "GET" else JOB.fullmatch(path)
    if not (is_submit or found) or scope.get("root_path"):
        return None
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    if not _are_plain(headers, len(scope["headers"])):
        return None
    call = Call(scope["method"], path, headers, _is_secure(scope, headers))
    if settings.SECURE_SSL_REDIRECT and not call.is_secure:
        return None
    query: bytes = scope["query_string"]
    if found is None:
        return call if not query and _has_small_body(headers) else None
    call.job_id, wait_s = UUID(found[1]), _wait_s(query)
    if wait_s is None or headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        return None
    call.wait_s = wait_s
    return call


def _are_plain(headers: Mapping[str, str], sent: int) -> bool:
    """None sent twice, an API key and no cookie, and a host that is ours."""
    return (
        len(headers) == sent
        and headers.get("authorization", "").lstrip()[: len(BEARER)].lower() == BEARER
        and "cookie" not in headers
        and _is_ours(headers.get("host", ""), tuple(settings.ALLOWED_HOSTS))
    )


def _has_small_body(headers: Mapping[str, str]) -> bool:
    length = headers.get("content-length", "")
    return length.isdecimal() and int(length) <= MOST_BYTES and "transfer-encoding" not in headers


def _wait_s(query: bytes) -> float | None:
    """None where Django is to judge the query."""
    if not query:
        return 0.0
    found = WAIT.fullmatch(query)
    return float(found[1]) if found and float(found[1]) <= LONGEST_WAIT_S else None


def _is_secure(scope: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
    """Source: django.http.HttpRequest.scheme."""
    if settings.SECURE_PROXY_SSL_HEADER:
        name, secure = settings.SECURE_PROXY_SSL_HEADER
        given = headers.get(name.removeprefix("HTTP_").replace("_", "-").lower())
        if given is not None:
            return given.split(",", 1)[0].strip() == secure
    return bool(scope.get("scheme") == "https")


@lru_cache(maxsize=256)
def _is_ours(host: str, allowed: tuple[str, ...]) -> bool:
    """Source: django.http.HttpRequest.get_host."""
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, allowed)


@lru_cache(maxsize=256)
def _type_of(header: str) -> str:
    """Without its parameters, in lower case."""
    return str(parse_header_parameters(header)[0])

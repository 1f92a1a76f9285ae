"""Reads what callers of the JSON API send: bodies, headers and the values of a query string. Raises Refused."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol
from uuid import UUID

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest

from predictions.arriving import FORM, Arriving
from predictions.errors import InvalidInput, NotFound, TooLarge, Unreadable, UnsupportedType
from predictions.json_bodies import Request, choices_of, request_of
from predictions.model_cards import ModelCard
from predictions.submission import Wishes, request_hash
from predictions.table_kinds import ANY, TYPES
from predictions.vectors import parse_json

JSON = "application/json"
LONGEST_WAIT_S = 60.0
KEY = re.compile(r"[\x21-\x7e]{1,255}")
WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,9}(?:\.\d{1,9})?)\"?\s*(?=$|[,;])", re.IGNORECASE)
TAKEN = f"{', '.join([JSON, *TYPES, ANY])} and {FORM} are taken"


class Sent(Protocol):
    """What is read of a request here, whichever door it came through. headers: asked for in lower case."""

    @property
    def path(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def content_type(self) -> str | None: ...
    @property
    def body(self) -> bytes: ...


@dataclass(frozen=True)
class TableRequest:
    """What stands beside a file that is on its way. kind: None where its first bytes are to tell it."""

    card: ModelCard
    wishes: Wishes
    file_name: str
    kind: str | None


def vector_request(request: Sent) -> Request:
    """The body of /predict."""
    if request.content_type not in {JSON, ""}:
        raise UnsupportedType(f"The body is {_named(request.content_type)}; {JSON} is taken.")
    asked = request_of(_json(request), "api")
    if asked.vector is None:
        raise InvalidInput(
            '/api/v1/predict takes one vector, as a list or in "input"; send rows to /api/v1/batch-predict.'
        )
    return _with_key(request, asked)


def rows_request(request: Sent) -> Request:
    """The JSON body of /batch-predict."""
    body = _json(request)
    if not isinstance(body, dict) or "inputs" not in body:
        raise InvalidInput(
            'The body must be an object whose "inputs" is a list of rows; one vector goes to /api/v1/predict.'
        )
    return _with_key(request, request_of(body, "api"))


def table_request(request: HttpRequest, arriving: Arriving) -> TableRequest:
    """A body of /batch-predict that is a file, by what stands before it."""
    if arriving.content_type == FORM:
        return _of_form(arriving, arriving.fields_before)
    kind = TYPES.get(arriving.content_type)
    if kind is None and arriving.content_type != ANY:
        raise UnsupportedType(f"The body is {_named(arriving.content_type)}; {TAKEN}.")
    card, wishes = choices_of(_typed(request.GET.dict()), "api")
    return TableRequest(card, wishes, "", kind)


def whole_request(request: HttpRequest, arriving: Arriving) -> TableRequest:
    """The same once all of it has come: the fields of a form may follow its file."""
    return _of_form(arriving, arriving.fields) if arriving.form else table_request(request, arriving)


def _of_form(arriving: Arriving, fields: Mapping[str, str]) -> TableRequest:
    if arriving.file_name is None:
        raise InvalidInput('The form has no file in "file"; a table is expected there.')
    card, wishes = choices_of(_typed(fields), "api")
    return TableRequest(card, wishes, arriving.file_name, None)


def keyed(request: Sent, wishes: Wishes, *content: bytes) -> Wishes:
    """With the caller's idempotency key, if one was sent, and the hash of what was sent with it."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return wishes
    if not KEY.fullmatch(key):
        raise InvalidInput(
            f"The Idempotency-Key has {len(key)} characters; 1 to 255 visible ASCII characters without spaces are allowed."
        )
    return replace(wishes, idempotency=(key, request_hash(request.path.encode(), *content)))


def choices_bytes(asked: TableRequest) -> bytes:
    """What stands beside a file, for the hash of the request: a form's own bytes differ each time it is sent."""
    return repr((asked.card.ref, asked.wishes.priority, asked.wishes.store, asked.wishes.on_bad_row)).encode()


def preferred_wait_s(request: Sent) -> float:
    """Prefer: wait=N, at most 60; what cannot be understood is ignored, as RFC 7240 asks."""
    found = WAIT.search(request.headers.get("prefer", ""))
    return min(float(found[1]), LONGEST_WAIT_S) if found else 0.0


def job_id_of(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise no_job(text) from None


def no_job(job_id: object) -> NotFound:
    return NotFound(f"There is no job '{str(job_id)[:40]}', or it is not yours.")


def refuse_nul(values: Mapping[str, Any]) -> None:
    """No text in the database can hold one."""
    for name, value in values.items():
        if "\0" in name or "\0" in str(value):
            raise InvalidInput(f"{name[:40]!r} holds a NUL character; text without it is allowed.")


def _with_key(request: Sent, asked: Request) -> Request:
    wishes = keyed(request, asked.wishes, request.body)
    return asked if wishes is asked.wishes else replace(asked, wishes=wishes)


def _json(request: Sent) -> object:
    """UTF-8, or UTF-16 with a mark."""
    body = _body(request)
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            body = body.decode("utf-16").encode()
        except UnicodeError:
            raise Unreadable("The body starts as UTF-16 but is damaged; UTF-8 or UTF-16 is allowed.") from None
    return parse_json(body.removeprefix(codecs.BOM_UTF8))


def _body(request: Sent) -> bytes:
    try:
        return request.body
    except RequestDataTooBig:
        raise TooLarge("The body is larger than 64 MB, the most that is taken as JSON.") from None


def _typed(fields: Mapping[str, str]) -> dict[str, Any]:
    """Words of a form or query string as JSON would hold them; what is no such word stays and is refused by its field."""
    refuse_nul(fields)
    typed: dict[str, Any] = {name: value for name, value in fields.items() if value != ""}
    if re.fullmatch(r"[0-9]", fields.get("priority", "")):
        typed["priority"] = int(fields["priority"])
    if fields.get("store") in {"true", "false"}:
        typed["store"] = fields["store"] == "true"
    return typed


def _named(content_type: str | None) -> str:
    return f"of the type '{content_type[:80]}'" if content_type else "without a content type"

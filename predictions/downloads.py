"""A file to download that lies in storage in parts: streamed, resumed and compared by HTTP's rules, the same for every file."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, cast

from asgiref.sync import sync_to_async
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header, http_date, parse_http_date_safe

from predictions import files, problems
from predictions.byte_ranges import ByteRange, NotSatisfiable, asked_of
from predictions.errors import NotSatisfiableRange, PreconditionFailed

log = logging.getLogger(__name__)
CSV = "text/csv; charset=utf-8"
BLOCK_BYTES = 256 * 1024


class Stored(NamedTuple):
    key: str
    size_bytes: int


@dataclass(frozen=True)
class Download:
    """etag: without its quotes; as long as it is the same, so is every byte. sha256: of the whole, where it is known."""

    name: str
    media_type: str
    etag: str
    parts: Sequence[Stored]
    head: bytes = b""
    modified: datetime | None = None
    sha256: str = ""

    @property
    def size_bytes(self) -> int:
        return len(self.head) + sum(part.size_bytes for part in self.parts)

    def blocks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from start to end; what lies before and after them is not read."""
        end = self.size_bytes if end is None else end
        if start < len(self.head):
            yield self.head[start:end]
        at = len(self.head)
        for part in self.parts:
            first, last = max(start - at, 0), min(end - at, part.size_bytes)
            if first < last:
                yield from files.read_blocks(part.key, first, last)
            at += part.size_bytes


def answer(request: HttpRequest, file: Download) -> HttpResponseBase:
    """The whole file or the range asked for; or that it is unchanged, is another one, or has no such range."""
    modified_s = None if file.modified is None else int(file.modified.timestamp())
    given: Any = _answer(request, file)
    answered: Any = get_conditional_response(request, _quoted(file.etag), modified_s, given)
    if answered.status_code == PreconditionFailed.status:
        return problems.problem(
            PreconditionFailed("The file is not the one that If-Match or If-Unmodified-Since names.")
        )
    return cast(HttpResponseBase, answered)


def is_head(request: HttpRequest) -> bool:
    """Also where the door has made a GET of it."""
    return bool(request.META["REQUEST_METHOD"] == "HEAD")


async def stream(file: Download, asked: ByteRange) -> AsyncIterator[bytes]:
    """Many small parts are gathered, so that a block costs one change of threads."""
    # However slowly the client reads, the request's own database connection is free meanwhile.
    await sync_to_async(close_old_connections)()
    blocks = _gathered(file.blocks(*asked))
    left = asked.end - asked.start
    try:
        while block := await asyncio.to_thread(next, blocks, b""):
            left -= len(block)
            yield block
    except OSError as error:
        log.warning("%s broke off %d bytes before its end: %s", file.name, left, error)
        left = 0
        _break_off()
    if left:
        log.warning("%s broke off %d bytes before its end: a part in storage is shorter than it was", file.name, left)
        _break_off()


def _break_off() -> None:
    """Django takes it for a client that has left and says nothing more; the server then closes the connection.

    An end like any other would look to the client as if the file had been given whole.
    """
    raise asyncio.CancelledError


def _answer(request: HttpRequest, file: Download) -> HttpResponseBase:
    try:
        asked = _asked(request, file)
    except NotSatisfiable:
        return _not_satisfiable(file)
    start, end = asked or (0, file.size_bytes)
    headers = _headers(file) | {"Content-Length": str(end - start)}
    if is_head(request):
        return HttpResponse(headers=headers)
    if asked:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size_bytes}"
    return StreamingHttpResponse(stream(file, ByteRange(start, end)), status=206 if asked else 200, headers=headers)


def _asked(request: HttpRequest, file: Download) -> ByteRange | None:
    if is_head(request) or not _is_still(request.headers.get("If-Range"), file):
        return None
    return asked_of(request.headers.get("Range"), file.size_bytes)


def _is_still(if_range: str | None, file: Download) -> bool:
    """Whether it is the file that the client has the beginning of."""
    if if_range is None:
        return True
    if file.modified and (date_s := parse_http_date_safe(if_range)) is not None:
        return date_s == int(file.modified.timestamp())
    return if_range.strip() == _quoted(file.etag)


def _not_satisfiable(file: Download) -> HttpResponse:
    sentence = f"The range begins past the end of the file, which has {file.size_bytes:,} bytes."
    response = problems.problem(NotSatisfiableRange(sentence))
    response["Content-Range"] = f"bytes */{file.size_bytes}"
    return response


def _headers(file: Download) -> dict[str, str]:
    headers = {
        "Content-Type": file.media_type,
        "Content-Disposition": content_disposition_header(True, file.name) or "attachment",
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-store",
        "ETag": _quoted(file.etag),
    }
    if file.modified:
        headers["Last-Modified"] = http_date(file.modified.timestamp())
    if file.sha256:
        headers["Repr-Digest"] = f"sha-256=:{base64.b64encode(bytes.fromhex(file.sha256)).decode()}:"
    return headers


def _quoted(etag: str) -> str:
    return f'"{etag}"'


def _gathered(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in blocks of BLOCK_BYTES and more; the last is what is left."""
    waiting: list[bytes] = []
    size = 0
    for block in blocks:
        waiting.append(block)
        size += len(block)
        if size >= BLOCK_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)

"""The rows of a result CSV as JSON objects: all of them as one stream, or a page of them read from the parts that hold it."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import islice
from typing import Any

import orjson
from django.db.models import F

from predictions import files, result_files
from predictions.byte_ranges import ByteRange
from predictions.downloads import Download, stream
from predictions.models import Job

Row = dict[str, Any]


async def stream_json(file: Download, columns: list[str]) -> AsyncIterator[bytes]:
    """A JSON list of objects."""
    before = b"["
    async for lines in _lines(stream(file, ByteRange(len(file.head), file.size_bytes))):
        if lines:
            yield before + await asyncio.to_thread(_joined, columns, lines)
            before = b","
    yield b"]" if before == b"," else b"[]"


def page(job: Job, after_row: int, limit: int) -> dict[str, Any]:
    """{"items": the rows that follow `after_row`, "next": the last of them where more follow}."""
    columns = result_files.columns_of(job)
    lines = islice(_lines_after(job, after_row), limit + 1)
    rows = [_object(columns, cells) for cells in csv.reader(line.decode() for line in lines)]
    return {"items": rows[:limit], "next": rows[limit - 1]["row"] if len(rows) > limit else None}


def _lines_after(job: Job, row: int) -> Iterator[bytes]:
    """Of the parts that end after this row, one after another."""
    parts = result_files.finished_parts(job).filter(first_row__gt=row + 1 - F("rows"))
    for number, attempt in parts.values_list("number", "result_attempt"):
        key = files.result_key(job.pk, number, attempt or 0)
        yield from (line for line in _later_lines(files.read_blocks(key), row) if _row_of(line) > row)


def _later_lines(blocks: Iterable[bytes], row: int) -> Iterator[bytes]:
    """Whole lines, without the blocks that end before the row: these are not looked at line by line."""
    rest = b""
    for block in blocks:
        whole, newline, rest = (rest + block).rpartition(b"\n")
        if newline and _row_of(whole[whole.rfind(b"\n") + 1 :]) > row:
            yield from whole.split(b"\n")
    if rest:
        yield rest


def _row_of(line: bytes) -> int:
    return int(line[: line.index(b",")])


async def _lines(blocks: AsyncIterator[bytes]) -> AsyncIterator[list[str]]:
    rest = b""
    async for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        yield [line.decode() for line in lines]
    if rest:
        yield [rest.decode()]


def _joined(columns: list[str], lines: list[str]) -> bytes:
    """JSON objects with commas between them."""
    return orjson.dumps([_object(columns, cells) for cells in csv.reader(lines)])[1:-1]


def _object(columns: list[str], cells: list[str]) -> Row:
    row: Row = dict(zip(columns, cells, strict=True))
    return row | {"row": int(cells[0]), "class": int(cells[-3]), "confidence": float(cells[-1])}

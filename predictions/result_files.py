"""What a batch has to download: its scored rows as CSV or JSON and its rejected rows, streamed from the parts in their order."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import AsyncIterator

import orjson
from django.db.models import QuerySet, Sum

from predictions import files
from predictions.db_threads import in_db_thread
from predictions.errors import NotFound, ResultExpired, WrongState
from predictions.models import Chunk, Job, Kind, State
from predictions.parts import Plan

REJECTED_HEADER = b"line,row,column,value,reason\n"


def demand_result(job: Job) -> None:
    """Raise WrongState, ResultExpired or NotFound where there is no result to give."""
    _demand_kept(job, "result")
    if not job.store:
        raise NotFound("No result was stored: the job was submitted with store=false.")
    if job.kind == Kind.REALTIME:
        if job.state != State.SUCCEEDED:
            raise NotFound(f"The job is {job.status}; no result was stored.")
    elif is_refused_file(job):
        raise NotFound(
            "Bad rows failed the job, so no result was kept (on_bad_row=reject). Its error names the places."
        )
    elif job.state != State.SUCCEEDED and not _done(job).exists():
        raise NotFound(f"The job is {job.status}; no row of it was scored.")


def demand_rejected(job: Job) -> None:
    """Raise WrongState, ResultExpired or NotFound where there are no rejected rows to give."""
    if job.kind != Kind.BATCH or job.on_bad_row != "skip":
        raise NotFound("Rejected rows are kept of batches that skip bad rows (on_bad_row=skip); this job is none.")
    _demand_kept(job, "rejected rows")


def is_refused_file(job: Job) -> bool:
    """A bad row was met while the file was scored, and the submitter wanted all or nothing."""
    return job.state == State.FAILED and job.on_bad_row == "reject" and job.rejected > 0


def header(job: Job) -> bytes:
    return f"{','.join(_columns(job))}\n".encode()


def size_of(job: Job) -> int:
    """Bytes that `stream` will give."""
    return len(header(job)) + int(_done(job).aggregate(all=Sum("result_bytes"))["all"] or 0)


async def stream(job: Job) -> AsyncIterator[bytes]:
    """The result CSV: its header, then the rows in the input's order."""
    yield await in_db_thread(header, job)
    for number, attempt in await _parts(job):
        async for block in _blocks(files.result_key(job.pk, number, attempt)):
            yield block


async def stream_json(job: Job) -> AsyncIterator[bytes]:
    """The same rows as a JSON list of objects."""
    columns = await in_db_thread(_columns, job)
    before = b"["
    async for lines in _lines(stream(job)):
        if lines:
            yield before + await asyncio.to_thread(_objects, columns, lines)
            before = b","
    yield b"]" if before == b"," else b"[]"


def rejected_size_of(job: Job) -> int:
    return len(REJECTED_HEADER) + int(_done(job).aggregate(all=Sum("rejected_bytes"))["all"] or 0)


async def stream_rejected(job: Job) -> AsyncIterator[bytes]:
    """The rejected cells as CSV: line and row in the file, the column, what stood there, and why it was refused."""
    yield REJECTED_HEADER
    for number, attempt in await _parts(job, rejected_bytes__gt=0):
        async for block in _blocks(files.rejected_key(job.pk, number, attempt)):
            yield block


def _demand_kept(job: Job, what: str) -> None:
    if not job.has_ended:
        raise WrongState(f"The job is {job.status}; its {what} can be fetched once it has ended.")
    if job.store and job.expires is None:
        raise ResultExpired(f"The job's {what} expired and was removed; the job itself stays in the history.")


def _columns(job: Job) -> list[str]:
    has_id = job.upload is not None and Plan.from_json(job.upload.plan).columns.id_position is not None
    return ["row", *(["id"] if has_id else []), "class", "label", "confidence"]


def _done(job: Job) -> QuerySet[Chunk]:
    return Chunk.objects.filter(job_id=job.pk, result_attempt__isnull=False)


async def _parts(job: Job, **only: int) -> list[tuple[int, int]]:
    """(number, attempt) of the parts that have a file, in order."""

    def read() -> list[tuple[int, int]]:
        chunks = _done(job).filter(**only).order_by("number")
        return [
            (number, attempt)
            for number, attempt in chunks.values_list("number", "result_attempt")
            if attempt is not None
        ]

    return await in_db_thread(read)


async def _blocks(key: str) -> AsyncIterator[bytes]:
    blocks = await asyncio.to_thread(files.read_blocks, key)
    while block := await asyncio.to_thread(next, blocks, b""):
        yield block


async def _lines(blocks: AsyncIterator[bytes]) -> AsyncIterator[list[str]]:
    """Whole lines, without the header."""
    rest, is_header = b"", True
    async for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        yield [line.decode() for line in lines[is_header:]]
        is_header = is_header and not lines
    if rest:
        yield [rest.decode()]


def _objects(columns: list[str], lines: list[str]) -> bytes:
    """JSON objects with commas between them."""
    return orjson.dumps([_object(columns, cells) for cells in csv.reader(lines)])[1:-1]


def _object(columns: list[str], cells: list[str]) -> dict[str, object]:
    row: dict[str, object] = dict(zip(columns, cells, strict=True))
    return row | {"row": int(cells[0]), "class": int(cells[-3]), "confidence": float(cells[-1])}

"""The rows of a batch that its page shows: read from the first finished part, never from the whole file."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from predictions import files, result_files
from predictions.errors import Refused
from predictions.models import Chunk, Job, Kind, State

SHOWN = 100
LOOKED_AT = 20_000
FILE_ORDER, LEAST_SURE = "file", "least-sure"
ORDERS = (FILE_ORDER, LEAST_SURE)


@dataclass(frozen=True)
class Row:
    number: int
    id: str | None
    label: str
    confidence: float


@dataclass(frozen=True)
class Shown:
    """rows: at most 100 of the matching ones in the first finished part; is_cut: only its first 20,000 rows were looked at."""

    rows: list[Row]
    matching: int
    is_cut: bool
    has_ids: bool


def may_show(job: Job) -> bool:
    """Whether there are rows to look at, be it before the job has ended."""
    return job.store and (job.state == State.RUNNING or may_download(job))


def may_download(job: Job) -> bool:
    """Whether there is a file of finished rows to give."""
    try:
        result_files.demand_result(job)
    except Refused:
        return False
    return job.kind == Kind.BATCH


def may_download_rejected(job: Job) -> bool:
    try:
        result_files.demand_rejected(job)
    except Refused:
        return False
    return job.rejected > 0


def shown_rows(job: Job, label: str = "", order: str = FILE_ORDER) -> Shown | None:
    """None where no part is finished yet, or nothing is kept."""
    part = _first_part(job) if may_show(job) else None
    if part is None:
        return None
    has_ids = result_files.header(job).startswith(b"row,id,")
    rows = _read(files.read_blocks(files.result_key(job.pk, *part)), has_ids)
    matching = [row for row in rows if not label or row.label == label]
    if order == LEAST_SURE:
        matching.sort(key=lambda row: row.confidence)
    return Shown(matching[:SHOWN], len(matching), len(rows) == LOOKED_AT, has_ids)


def _first_part(job: Job) -> tuple[int, int] | None:
    """(number, the attempt whose file it is)."""
    done = job.parts.filter(state=Chunk.State.DONE, result_bytes__gt=0).order_by("number").first()
    return (done.number, done.result_attempt) if done and done.result_attempt else None


def _read(blocks: Iterator[bytes], has_ids: bool) -> list[Row]:
    """row,[id,]class,label,confidence; written by us, so it can be trusted to be well formed. A narrow part has millions."""
    lines = islice(csv.reader(_lines(blocks)), LOOKED_AT)
    return [Row(int(line[0]), line[1] if has_ids else None, line[-2], float(line[-1])) for line in lines]


def _lines(blocks: Iterator[bytes]) -> Iterator[str]:
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        yield from (f"{line.decode()}\n" for line in whole)
    if rest:
        yield rest.decode()

"""The rows of a batch that its page shows: read from the first finished part, never from the whole file."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from predictions import files, result_files
from predictions.models import Job, State

SHOWN = 100
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
    """rows: at most 100 of the matching ones among the looked_at rows of the first finished part."""

    rows: list[Row]
    matching: int
    looked_at: int
    has_ids: bool


def shown_rows(job: Job, label: str = "", order: str = FILE_ORDER) -> Shown | None:
    """None where no part is finished yet, or nothing is kept."""
    may_show = job.store and (job.state == State.RUNNING or result_files.has_file(job))
    parts = result_files.result_parts(job) if may_show else []
    if not parts:
        return None
    number, attempt, _ = parts[0]
    has_ids = result_files.header(job) == result_files.HEADER_WITH_ID
    rows = _read(files.read(files.result_key(job.pk, number, attempt)).decode(), has_ids)
    matching = [row for row in rows if not label or row.label == label]
    if order == LEAST_SURE:
        matching.sort(key=lambda row: row.confidence)
    return Shown(matching[:SHOWN], len(matching), len(rows), has_ids)


def _read(text: str, has_ids: bool) -> list[Row]:
    """row,[id,]class,label,confidence; written by us, so it can be trusted to be well formed."""
    lines = csv.reader(io.StringIO(text))
    return [Row(int(line[0]), line[1] if has_ids else None, line[-2], float(line[-1])) for line in lines]

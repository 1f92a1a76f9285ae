"""Cuts a table's rows into parts, judges the first of them, and makes the plan; common to every body that is a table."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import IO

import numpy as np
import pyarrow as pa
from django.conf import settings

from predictions.bad_cells import BadCell
from predictions.columns import Columns, TakesColumns
from predictions.errors import SHOWN, InvalidInput, Place, TooLarge
from predictions.first_rows import JUDGED_ROWS, JUDGED_WHOLE_BYTES, PREVIEW_ROWS
from predictions.parts import Part, Plan, Put
from predictions.table_columns import TableColumns, rows_of
from predictions.tables import Bools, Rows, bad_cells, write_part

PART_BYTES = 1 << 22
MOST_GROWTH = 4
"""How much larger than the largest file a table may be as float32: so much an array of bytes grows."""
FORMAT = "table"


class Arrived:
    """How much of a file came."""

    def __init__(self, max_bytes: int) -> None:
        self.size_bytes = 0
        self._max_bytes = max_bytes

    def add(self, block: bytes) -> None:
        self.size_bytes += len(block)
        if self.size_bytes > self._max_bytes:
            raise TooLarge(f"The file is larger than {self._max_bytes:,} bytes, the most that is taken.")


def set_aside(owner: object) -> IO[bytes]:
    """A file on the disk of the data folder, for as long as its owner lives. Without a name: a killed web leaves nothing."""
    file = tempfile.TemporaryFile(dir=settings.DATA_DIR)  # noqa: SIM115  it is closed with its owner
    weakref.finalize(owner, _close, file)
    return file


def part_rows(width: int) -> int:
    """About 4 MB of float32; the cuts depend on nothing else."""
    return max(1, PART_BYTES // (4 * width))


def _close(file: IO[bytes]) -> None:
    with suppress(OSError):  # what was not yet written on a full disk is thrown away here
        file.close()


class TableParts:
    """Add rows as they come, then ask for the plan. Raises Refused where most of the first rows are bad."""

    def __init__(self, card: TakesColumns, put: Put, max_bytes: int) -> None:
        self.rows = 0
        self._most_rows = max_bytes * MOST_GROWTH // (4 * card.width)
        self.features = card.features
        self._card = card
        self._put = put
        self._part_rows = part_rows(card.width)
        self._waiting: list[Rows] = []
        self._waiting_rows = 0
        self._made: list[Part] = []
        self._first = _Tally(card)
        self._more = _Tally(card)
        self._preview: list[list[str]] = []
        self._has_ids = False

    def add(self, rows: Rows, size_bytes: int) -> None:
        """size_bytes: what came of the file so far."""
        self.refuse_more_than_fits(self.rows + len(rows))
        self._has_ids = rows.ids is not None
        self._judge(rows, size_bytes)
        self.rows += len(rows)
        self._waiting.append(rows)
        self._waiting_rows += len(rows)
        if self._waiting_rows >= self._part_rows:
            self._cut()

    def refuse_more_than_fits(self, rows: int) -> None:
        """A small file may say that it holds very many."""
        if rows > self._most_rows:
            raise TooLarge(f"The table has {rows:,} rows or more; at most {self._most_rows:,} of its width are taken.")

    def plan(self, size_bytes: int, notes: list[str]) -> Plan:
        if not self.rows:
            raise InvalidInput("The table has no row; at least one is needed.")
        if self._waiting_rows:
            self._keep(_joined(self._waiting))
        judged_all = size_bytes <= JUDGED_WHOLE_BYTES or self.rows <= JUDGED_ROWS
        tally = self._first.with_more(self._more) if judged_all else self._first
        return Plan(
            parts=self._made,
            rows=self.rows,
            size_bytes=size_bytes,
            columns=self._columns(),
            notes=notes,
            places=tally.places,
            bad_rows=tally.bad_rows,
            bad_cells=tally.bad_cells,
            preview=self._preview,
            truncated_judgement=not judged_all,
            format=FORMAT,
        )

    def _judge(self, rows: Rows, size_bytes: int) -> None:
        left = max(0, JUDGED_ROWS - self.rows)
        if self.rows < PREVIEW_ROWS:
            self._preview += list(_preview(rows[: PREVIEW_ROWS - self.rows]))
        if left:
            self._first.add(rows[:left], self.rows + 1)
            if len(rows) >= left:
                self._first.refuse_mostly_bad()
        if size_bytes <= JUDGED_WHOLE_BYTES:
            self._more.add(rows[left:], self.rows + left + 1)

    def _cut(self) -> None:
        rows = _joined(self._waiting)
        whole = len(rows) - len(rows) % self._part_rows
        for start in range(0, whole, self._part_rows):
            self._keep(rows[start : start + self._part_rows])
        self._waiting = [rows[whole:]] if whole < len(rows) else []
        self._waiting_rows = len(rows) - whole

    def _keep(self, rows: Rows) -> None:
        data = write_part(_contiguous(rows))
        number = len(self._made)
        self._put(number, data)
        self._made.append(Part(number, number * self._part_rows + 1, 0, len(rows), 0, len(data)))

    def _columns(self) -> Columns:
        """As the parts have them: the model's features in its order, then the id."""
        width = self._card.width
        positions = tuple(range(width))
        if not self._has_ids:
            return Columns(",", width, positions)
        return Columns(",", width + 1, positions, width, (*self._card.features, "id"))


def add_batch(parts: TableParts, batch: pa.RecordBatch, columns: TableColumns, size_bytes: int) -> None:
    """A batch of any size, a piece at a time. batch: checked."""
    step = part_rows(len(parts.features))
    for start in range(0, batch.num_rows, step):
        parts.add(rows_of(batch.slice(start, step), columns, parts.rows + 1), size_bytes)


class _Tally:
    """What is bad in some rows."""

    def __init__(self, card: TakesColumns) -> None:
        self._card = card
        self.places: list[Place] = []
        self.rows = self.bad_rows = self.bad_cells = 0

    def add(self, rows: Rows, first_row: int) -> None:
        self.rows += len(rows)
        bad = rows.bad()
        if bad is not None:
            self.bad_rows += int(bad.any(axis=1).sum())
            self.bad_cells += int(bad.sum())
            self.places += [cell.as_place() for cell in self._named(rows, bad, first_row)]

    def with_more(self, more: _Tally) -> _Tally:
        whole = _Tally(self._card)
        whole.places = (self.places + more.places)[:SHOWN]
        whole.bad_rows = self.bad_rows + more.bad_rows
        whole.bad_cells = self.bad_cells + more.bad_cells
        return whole

    def refuse_mostly_bad(self) -> None:
        if 2 * self.bad_rows > self.rows:
            raise InvalidInput(
                f"{self.bad_rows:,} of the first {self.rows:,} rows cannot be read, more than half; nothing was "
                "stored. Is it the right table for this model?",
                self.places,
                self.bad_cells,
            )

    def _named(self, rows: Rows, bad: Bools, first_row: int) -> list[BadCell]:
        return list(bad_cells(rows, bad, self._card.features, first_row)[: SHOWN - len(self.places)])


def _joined(some: list[Rows]) -> Rows:
    if len(some) == 1:
        return some[0]
    missing = any(rows.missing is not None for rows in some)
    originals = any(rows.originals is not None for rows in some)
    return Rows(
        np.concatenate([rows.x for rows in some]),
        np.concatenate([_missing(rows) for rows in some]) if missing else None,
        np.concatenate([rows.x if rows.originals is None else rows.originals for rows in some]) if originals else None,
        None if some[0].ids is None else pa.concat_arrays([rows.ids for rows in some]),
    )


def _missing(rows: Rows) -> Bools:
    return np.zeros(rows.x.shape, np.bool_) if rows.missing is None else rows.missing


def _contiguous(rows: Rows) -> Rows:
    """Without what only other rows of a batch need."""
    missing = rows.missing if rows.missing is not None and rows.missing.any() else None
    originals = rows.originals
    if originals is not None and not (np.isinf(rows.x) & np.isfinite(originals)).any():
        originals = None
    return Rows(np.ascontiguousarray(rows.x), missing, originals, rows.ids)


def _preview(rows: Rows) -> Iterator[list[str]]:
    for at in range(len(rows)):
        ids = [] if rows.ids is None else [rows.ids[at].as_py()]
        yield [_text(rows, at, place) for place in range(rows.x.shape[1])] + ids


def _text(rows: Rows, at: int, place: int) -> str:
    if rows.missing is not None and rows.missing[at, place]:
        return ""
    held = rows.x if rows.originals is None else rows.originals
    return str(held[at, place])

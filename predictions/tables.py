"""Rows of numbers as a stored part keeps them: an Arrow stream of one batch, float32 in the model's order, bad cells and all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from predictions.bad_cells import BadCell
from predictions.csv_reading import Block
from predictions.numbers_in_text import EMPTY, NOT_FINITE, TOO_LARGE

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
BLOCK_ROWS = 4_096
_BLOCK_CELLS = 1 << 20


@dataclass(frozen=True)
class Rows:
    """x: (n, width), NaN or infinite where a cell is bad. missing: (n, width), or None where nothing is missing.

    originals: (n, width), what stood there, where a cell is larger than a float32; else None. ids: (n,) text.
    """

    x: Floats
    missing: Bools | None = None
    originals: Doubles | None = None
    ids: pa.Array | None = None

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, some: slice) -> Rows:
        start, end, _ = some.indices(len(self))
        missing = None if self.missing is None else self.missing[some]
        originals = None if self.originals is None else self.originals[some]
        return Rows(self.x[some], missing, originals, None if self.ids is None else self.ids[start:end])

    def bad(self) -> Bools | None:
        """Which cells are no number a model can take, (n, width); None where all are."""
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(self.x.sum()):  # one bad cell shows in the sum; so may an overflow, which is looked at below
                return None
        bad = ~np.isfinite(self.x)  # (n, width)
        return bad if bad.any() else None


@dataclass(frozen=True)
class BadCells(Sequence[BadCell]):
    """In the table's order; put into words only when asked for. places: (cells, 2), the row and the feature from 0."""

    rows: Rows
    places: npt.NDArray[np.int64]
    features: Sequence[str]
    first_row: int

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[BadCell]:
        return (self._named(int(row), int(column)) for row, column in self.places)

    @overload
    def __getitem__(self, at: int) -> BadCell: ...
    @overload
    def __getitem__(self, at: slice) -> BadCells: ...
    def __getitem__(self, at: int | slice) -> BadCell | BadCells:
        if isinstance(at, slice):
            return BadCells(self.rows, self.places[at], self.features, self.first_row)
        return self._named(*self.places[at].tolist())

    def _named(self, row: int, column: int) -> BadCell:
        value, reason = self._words(row, column)
        return BadCell(self.first_row + row, None, self.features[column], value, reason)

    def _words(self, row: int, column: int) -> tuple[str, str]:
        if self.rows.missing is not None and self.rows.missing[row, column]:
            return "", EMPTY
        held = self.rows.x if self.rows.originals is None else self.rows.originals
        value = float(held[row, column])
        return repr(value), TOO_LARGE if np.isfinite(value) else NOT_FINITE


def bad_cells(rows: Rows, bad: Bools, features: Sequence[str], first_row: int) -> BadCells:
    return BadCells(rows, np.argwhere(bad), features, first_row)


def write_part(rows: Rows) -> bytes:
    """Numbers too large for a float32 are kept as they came: then all are kept as float64, which changes none of them."""
    held = rows.x if rows.originals is None else rows.originals
    missing = None if rows.missing is None else rows.missing.reshape(-1)
    cells = pa.array(held.reshape(-1), mask=missing, from_pandas=False)
    columns = {"x": pa.FixedSizeListArray.from_arrays(cells, rows.x.shape[1])}
    if rows.ids is not None:
        columns["id"] = rows.ids
    batch = pa.RecordBatch.from_pydict(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return cast(bytes, sink.getvalue().to_pybytes())


def read_part(data: bytes, features: Sequence[str], start: int, first_row: int) -> Iterator[tuple[Block, int, int]]:
    """(block, its rows, the place after it) from the part's row `start` on, which is the file's row `first_row`."""
    batch = pa.ipc.open_stream(pa.py_buffer(data)).read_next_batch()
    step = max(1, min(BLOCK_ROWS, _BLOCK_CELLS // len(features)))
    for at in range(start, batch.num_rows, step):
        rows = _rows_of(batch.slice(at, step))
        yield _block(rows, features, first_row + at - start), len(rows), at + len(rows)


def _rows_of(batch: pa.RecordBatch) -> Rows:
    cells = batch.column("x").flatten()
    shape = (batch.num_rows, -1)
    held = cells.to_numpy(zero_copy_only=False).reshape(shape)  # (n, width), NaN where a cell is missing
    missing = cells.is_null().to_numpy(zero_copy_only=False).reshape(shape) if cells.null_count else None
    ids = batch.column("id") if "id" in batch.schema.names else None
    if held.dtype == np.float32:
        return Rows(held, missing, None, ids)
    with np.errstate(over="ignore"):
        return Rows(held.astype(np.float32), missing, held, ids)


def _block(rows: Rows, features: Sequence[str], first_row: int) -> Block:
    numbers = np.arange(first_row, first_row + len(rows), dtype=np.int64)  # (n,)
    ids = None if rows.ids is None else rows.ids.to_pylist()
    bad = rows.bad()
    if bad is None:
        return Block(rows.x, numbers, ids)
    good = np.flatnonzero(~bad.any(axis=1))
    kept = None if ids is None else [ids[at] for at in good.tolist()]
    return Block(rows.x[good], numbers[good], kept, bad_cells(rows, bad, features, first_row))

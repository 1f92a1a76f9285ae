"""Reads whole lines of a normalised CSV into float32 rows, and names every refused cell at its true line and column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv

from predictions import quick_rows
from predictions.bad_cells import BadCell, BadCells, Lines
from predictions.columns import Columns, UnclosedQuote, cells_of
from predictions.doubts import ids_of, settle
from predictions.exact_reading import places_of, read_odd, sort_lines
from predictions.line_ends import are_blank, blocks, ended, line_ends, rows_in

_BOM = b"\xef\xbb\xbf"
_ODD_ONE_IN = 16
"""Lines read one by one cost so much more than others."""

__all__ = ["BadCell", "Block", "blocks", "read_block"]

# A SIGTERM asks a worker to finish what it has in hand: pyarrow would take it for itself and break off the read.
pa.enable_signal_handlers(False)


@dataclass(frozen=True)
class Block:
    """x: (n, width) float32, the good rows; rows: (n,) int64, their numbers; ids: None without an id column."""

    x: npt.NDArray[np.float32]
    rows: npt.NDArray[np.int64]
    ids: list[str] | None
    bad: Sequence[BadCell] = ()


def read_block(data: bytes, columns: Columns, features: Sequence[str], first_line: int, first_row: int) -> Block:
    """data: whole lines. first_line, first_row: the numbers of its first line and first row."""
    return (
        _read_compiled(data, columns, features, first_line, first_row)
        or _read_quickly(data, columns, first_row)
        or _read_exactly(data, columns, features, first_line, first_row)
    )


def _read_compiled(
    data: bytes, columns: Columns, features: Sequence[str], first_line: int, first_row: int
) -> Block | None:
    """By the compiled reader; what it leaves open is settled exactly, unless that is too much."""
    found = quick_rows.read_rows(data, columns)
    if found is None or np.count_nonzero(found.doubts["feature"] == quick_rows.LINE) * _ODD_ONE_IN > len(found.x):
        return None
    if not len(found.doubts):
        ids = None if columns.id_position is None else ids_of(found, data)
        return Block(found.x, np.arange(first_row, first_row + len(found.x), dtype=np.int64), ids)
    lines, _ = _lines_of(data)
    x, rows, ids, places = settle(found, lines, columns)
    return Block(x, first_row + rows, ids, BadCells(lines, places, columns, features, first_line, first_row))


def _read_quickly(data: bytes, columns: Columns, first_row: int) -> Block | None:
    """pyarrow's answer where it is surely the exact one, else None."""
    if not data or b"\r" in data or data.startswith(_BOM) or _ends_unclosed(data, columns.delimiter):
        return None
    try:
        table = _table(data, columns)
    except (pa.ArrowInvalid, pa.ArrowKeyError):
        return None
    if table.num_rows != rows_in(data):  # a quoted line end has joined two lines
        return None
    x, ids = _matrix(table, len(columns.positions)), _ids(table, columns)
    with np.errstate(over="ignore", invalid="ignore"):
        total = x.sum()
    if not np.isfinite(total):  # a NaN or infinity shows in the sum; so may an overflow, which the exact way clears
        return None
    return Block(x, np.arange(first_row, first_row + len(x), dtype=np.int64), ids)


def _numbers_and_ids(data: bytes, columns: Columns) -> tuple[npt.NDArray[np.float32], list[str] | None]:
    """Of lines that are known to be good, but for numbers that are too large: those are infinite."""
    if not data:
        return np.empty((0, len(columns.positions)), np.float32), None if columns.id_position is None else []
    found = quick_rows.read_rows(data, columns)
    if found is not None and not len(found.doubts):
        return found.x, None if columns.id_position is None else ids_of(found, data)
    table = _table(data, columns)
    return _matrix(table, len(columns.positions)), _ids(table, columns)


def _table(data: bytes, columns: Columns) -> pa.Table:
    """The model's columns in the model's order, then the id."""
    reading, parsing, converting = _options(columns)
    reading.block_size = len(data) + 1
    return pacsv.read_csv(pa.py_buffer(data), reading, parsing, converting)


def _options(columns: Columns) -> tuple[pacsv.ReadOptions, pacsv.ParseOptions, pacsv.ConvertOptions]:
    names, parsing, converting = _fixed_options(columns)
    return pacsv.ReadOptions(use_threads=False, column_names=names), parsing, converting


@lru_cache(maxsize=64)
def _fixed_options(columns: Columns) -> tuple[list[str], pacsv.ParseOptions, pacsv.ConvertOptions]:
    numbers = [str(position) for position in columns.positions]
    ids = [] if columns.id_position is None else [str(columns.id_position)]
    converting = pacsv.ConvertOptions(
        column_types=dict.fromkeys(numbers, pa.float32()) | dict.fromkeys(ids, pa.string()),
        include_columns=numbers + ids,
        null_values=[],
        strings_can_be_null=False,
        decimal_point=columns.decimal,
    )
    names = [str(position) for position in range(columns.width_in_file)]
    return names, pacsv.ParseOptions(delimiter=columns.delimiter), converting


def _matrix(table: pa.Table, width: int) -> npt.NDArray[np.float32]:
    batches = table.select(range(width)).combine_chunks().to_batches()
    if not batches:
        return np.empty((0, width), np.float32)
    return cast("npt.NDArray[np.float32]", batches[0].to_tensor(row_major=False).to_numpy())  # (n, width), column-major


def _ids(table: pa.Table, columns: Columns) -> list[str] | None:
    if columns.id_position is None:
        return None
    return cast("list[str]", table.column(table.num_columns - 1).to_pylist())


def _ends_unclosed(data: bytes, delimiter: str) -> bool:
    """pyarrow closes an open quote at the end of its input in silence."""
    if b'"' not in data:
        return False
    try:
        cells_of(data.rstrip(b" \n").rpartition(b"\n")[2].decode(), delimiter)
    except UnclosedQuote:
        return True
    return False


def _read_exactly(data: bytes, columns: Columns, features: Sequence[str], first_line: int, first_row: int) -> Block:
    """The good lines quickly, the odd ones one by one, and the places of all that is refused."""
    lines, is_blank = _lines_of(data)
    good, odd, places = sort_lines(lines, is_blank, columns)
    x, ids = _numbers_and_ids(_only(lines, good), columns)
    is_finite = np.isfinite(x)  # (n, width)
    if not is_finite.all():
        at, place = np.nonzero(~is_finite)
        places = np.concatenate([places, places_of(good[at], place)])
        kept = np.flatnonzero(is_finite.all(axis=1))
        x, good, ids = x[kept], good[kept], ids and [ids[at] for at in kept.tolist()]
    if len(odd):
        more = read_odd(lines, odd, columns)
        places = np.concatenate([places, more.places])
        good = np.concatenate([good, more.lines])
        order = np.argsort(good)
        x, good = np.concatenate([x, more.x])[order], good[order]
        ids = None if ids is None else [(ids + more.ids)[at] for at in order.tolist()]
    bad = BadCells(lines, places[np.lexsort(places.T[::-1])], columns, features, first_line, first_row)
    return Block(x, first_row + lines.rows[good].astype(np.int64), ids, bad)


def _lines_of(data: bytes) -> tuple[Lines, npt.NDArray[np.bool_]]:
    """And which of them are blank."""
    text = ended(data)
    ends = line_ends(text)
    is_blank = are_blank(text, ends)
    return Lines(text, ends, (np.cumsum(~is_blank) - ~is_blank).astype(np.int32)), is_blank


def _only(lines: Lines, wanted: npt.NDArray[np.int64]) -> bytes:
    if len(wanted) == len(lines.ends):
        return lines.text
    is_wanted = np.zeros(len(lines.ends), np.bool_)
    is_wanted[wanted] = True
    kept = np.repeat(is_wanted, np.diff(lines.ends, prepend=np.int32(-1)))  # (bytes,)
    return np.frombuffer(lines.text, np.uint8)[kept].tobytes()

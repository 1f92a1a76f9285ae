"""Reads whole lines of a normalised CSV into float32 rows, and names every refused cell at its true line and column."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from predictions.columns import Columns, UnclosedQuote, cells_of
from predictions.errors import Place
from predictions.numbers_in_text import PATTERN, TOO_LARGE, WHITESPACE, cut, fault_of_text

BLOCK_BYTES = 1 << 20
_BLANK_LINE = re.compile(rb"\n *+(?=\n)")
_BOM = b"\xef\xbb\xbf"
_UNCLOSED = "unclosed quote: a cell must end on the line it starts on"

# A SIGTERM asks a worker to finish what it has in hand: pyarrow would take it for itself and break off the read.
pa.enable_signal_handlers(False)


class BadCell(NamedTuple):
    """column is None where the row as a whole is refused."""

    row: int
    line: int
    column: str | None
    value: str
    reason: str

    def as_place(self) -> Place:
        place: Place = {"row": self.row, "line": self.line, "value": self.value, "message": self.reason}
        return place if self.column is None else place | {"column": self.column}


@dataclass(frozen=True)
class Block:
    """x: (n, width) float32, the good rows; rows: (n,) int64, their numbers; ids: None without an id column."""

    x: npt.NDArray[np.float32]
    rows: npt.NDArray[np.int64]
    ids: list[str] | None
    bad: list[BadCell] = field(default_factory=list)


def read_block(data: bytes, columns: Columns, features: Sequence[str], first_line: int, first_row: int) -> Block:
    """data: whole lines. first_line, first_row: the numbers of its first line and first row."""
    quick = _read_quickly(data, columns, first_row)
    return quick if quick is not None else _read_exactly(data, columns, features, first_line, first_row)


def blocks(data: bytes, size: int = BLOCK_BYTES) -> Iterator[tuple[bytes, int, int]]:
    """Cut a part at line ends into (block, lines, rows), so that a caller can stop in between."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start + size - 1) + 1 or len(data)
        block = data[start:end]
        lines = block.count(b"\n") + (not block.endswith(b"\n"))
        yield block, lines, lines - blank_lines(block)
        start = end


def blank_lines(data: bytes) -> int:
    """Lines of nothing but spaces: no rows, but they count as lines."""
    if b"\n\n" not in data and b" \n" not in data and not data.startswith(b"\n"):
        return 0
    return sum(1 for _ in _BLANK_LINE.finditer(b"\n" + data))


def rows_in(data: bytes) -> int:
    return data.count(b"\n") + (not data.endswith(b"\n")) - blank_lines(data) if data else 0


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
    x = _matrix(table, len(columns.positions))
    with np.errstate(over="ignore", invalid="ignore"):
        total = x.sum()
    if not np.isfinite(total):  # a NaN or infinity shows in the sum; so may an overflow, which the exact way clears
        return None
    ids = None if columns.id_position is None else cast("list[str]", table.column(table.num_columns - 1).to_pylist())
    return Block(x, np.arange(first_row, first_row + len(x), dtype=np.int64), ids)


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


def _ends_unclosed(data: bytes, delimiter: str) -> bool:
    """pyarrow closes an open quote at the end of its input in silence."""
    if b'"' not in data:
        return False
    try:
        cells_of(data.rstrip(b" \n").rpartition(b"\n")[2].decode(), delimiter)
    except UnclosedQuote:
        return True
    return False


class _Line(NamedTuple):
    row: int
    line: int
    cells: list[str]


def _read_exactly(data: bytes, columns: Columns, features: Sequence[str], first_line: int, first_row: int) -> Block:
    whole, bad = _whole_lines(data, columns, first_line, first_row)
    texts = [line.cells[position] for line in whole for position in columns.positions]
    values = _numbers(texts, columns.decimal).reshape(len(whole), len(columns.positions))  # (n, width)
    finite = np.isfinite(values)
    for at, place in np.argwhere(~finite).tolist():
        text = whole[at].cells[columns.positions[place]].strip(WHITESPACE)
        reason = fault_of_text(text, columns.decimal) or TOO_LARGE
        bad.append(BadCell(whole[at].row, whole[at].line, features[place], cut(text), reason))
    good = np.flatnonzero(finite.all(axis=1))
    rows = np.array([line.row for line in whole], dtype=np.int64)[good]
    ids = None if columns.id_position is None else [whole[at].cells[columns.id_position] for at in good.tolist()]
    return Block(values[good], rows, ids, sorted(bad, key=lambda cell: cell.row))


def _whole_lines(data: bytes, columns: Columns, first_line: int, first_row: int) -> tuple[list[_Line], list[BadCell]]:
    whole: list[_Line] = []
    bad: list[BadCell] = []
    row = first_row
    for number, text in enumerate(data.decode().removesuffix("\n").split("\n"), start=first_line):
        if not text.strip(" "):
            continue
        cells, fault = _cells(text, columns)
        if fault is None:
            whole.append(_Line(row, number, cells))
        else:
            bad.append(BadCell(row, number, None, cut(text), fault))
        row += 1
    return whole, bad


def _cells(text: str, columns: Columns) -> tuple[list[str], str | None]:
    try:
        cells = cells_of(text, columns.delimiter)
    except UnclosedQuote:
        return [], _UNCLOSED
    return cells, None if len(cells) == columns.width_in_file else _width_fault(len(cells), columns)


def _width_fault(count: int, columns: Columns) -> str:
    values = "1 value" if count == 1 else f"{count:,} values"
    if columns.width_in_file == len(columns.positions):
        return f"the row has {values}; the model takes {columns.width_in_file}"
    return f"the row has {values}; the header names {columns.width_in_file} columns"


def _numbers(texts: list[str], decimal: str) -> npt.NDArray[np.float32]:
    """By the parser of the quick way, so that both agree to the bit; NaN or infinity where a text is refused."""
    trimmed = pc.utf8_trim(pa.array(texts, pa.string()), WHITESPACE)
    if decimal != ".":
        trimmed = pc.replace_substring(pc.replace_substring(trimmed, ".", "?"), decimal, ".")
    is_number = pc.match_substring_regex(trimmed, f"^(?:{PATTERN})$")
    values = pc.if_else(is_number, trimmed, "nan").cast(pa.float32())
    return cast("npt.NDArray[np.float32]", values.to_numpy(zero_copy_only=False))

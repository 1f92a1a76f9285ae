"""What could not be read of a block of lines: each refused cell and row with its place and the reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from predictions.columns import Columns, UnclosedQuote, cells_of
from predictions.errors import Place
from predictions.numbers_in_text import SHOWN_CHARACTERS, TOO_LARGE, WHITESPACE, cut, fault_of_text

WHOLE_ROW = -1
_UNCLOSED = "unclosed quote: a cell must end on the line it starts on"
_AT_ONCE = 1_000


class BadCell(NamedTuple):
    """column is None where the row as a whole is refused, line where the file has no lines."""

    row: int
    line: int | None
    column: str | None
    value: str
    reason: str

    def as_place(self) -> Place:
        place: Place = {"row": self.row, "line": self.line, "value": self.value, "message": self.reason}
        place |= {"column": self.column}
        return {name: known for name, known in place.items() if known is not None}


@dataclass(frozen=True)
class Lines:
    """The lines of some text, all of them ended. rows: of each line the rows before it."""

    text: bytes
    ends: npt.NDArray[np.int32]
    rows: npt.NDArray[np.int32]

    def texts(self, numbers: npt.NDArray[Any]) -> Iterator[str]:
        starts = np.where(numbers > 0, self.ends[numbers - 1] + 1, 0)
        spans = zip(starts.tolist(), self.ends[numbers].tolist(), strict=True)
        return (self.text[start:end].decode() for start, end in spans)

    def between(self, first: int, end: int) -> Lines:
        """Some lines that follow one another."""
        start = self.ends[first - 1] + 1 if first else np.int32(0)
        text = self.text[start : self.ends[end - 1] + 1]
        return Lines(text, self.ends[first:end] - start, self.rows[first:end])


@dataclass(frozen=True)
class BadCells(Sequence[BadCell]):
    """In the file's order; put into words only when asked for, so that a million of them take little room.

    places: (n, 2) the line and which of the features, or WHOLE_ROW.
    """

    lines: Lines
    places: npt.NDArray[np.int32]
    columns: Columns
    features: Sequence[str]
    first_line: int
    first_row: int

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[BadCell]:
        for start in range(0, len(self.places), _AT_ONCE):
            yield from self._some(self.places[start : start + _AT_ONCE])

    @overload
    def __getitem__(self, at: int) -> BadCell: ...
    @overload
    def __getitem__(self, at: slice) -> BadCells: ...
    def __getitem__(self, at: int | slice) -> BadCell | BadCells:
        if isinstance(at, slice):
            return replace(self, places=self.places[at])
        return next(self._some(self.places[at : at + 1 or None]))

    def _some(self, places: npt.NDArray[np.int32]) -> Iterator[BadCell]:
        numbers = places[:, 0]
        rows = (self.lines.rows[numbers] + self.first_row).tolist()
        before = -1
        for (number, place), row, text in zip(places.tolist(), rows, self.lines.texts(numbers), strict=True):
            if number != before:
                before = number
                cells, fault = cells_or_fault(text, self.columns)
            line = self.first_line + number
            if place == WHOLE_ROW:
                yield BadCell(row, line, None, cut(text), fault or "")
            else:
                value = cells[self.columns.positions[place]].strip(WHITESPACE)
                yield BadCell(row, line, self.features[place], cut(value), _reason(value, self.columns.decimal))


def _reason(value: str, decimal: str) -> str:
    return _known_reason(value, decimal) if len(value) <= SHOWN_CHARACTERS else _told_reason(value, decimal)


def _told_reason(value: str, decimal: str) -> str:
    return fault_of_text(value, decimal) or TOO_LARGE


_known_reason = lru_cache(maxsize=256)(_told_reason)


def cells_or_fault(line: str, columns: Columns) -> tuple[list[str], str | None]:
    """The cells of one line, and why it cannot be a row."""
    try:
        cells = cells_of(line, columns.delimiter)
    except UnclosedQuote:
        return [], _UNCLOSED
    return cells, None if len(cells) == columns.width_in_file else _width_fault(len(cells), columns)


def _width_fault(count: int, columns: Columns) -> str:
    values = "1 value" if count == 1 else f"{count:,} values"
    if columns.width_in_file == len(columns.positions):
        return f"the row has {values}; the model takes {columns.width_in_file}"
    return f"the row has {values}; the header names {columns.width_in_file} columns"

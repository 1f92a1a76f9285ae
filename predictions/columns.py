"""Which columns of a CSV file a model reads: the judgement of the first line."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from predictions.errors import InvalidInput
from predictions.numbers_in_text import NOT_FINITE, cut, fault_of_text

DELIMITERS = ",;\t|"
MOST_COLUMNS = 10_000
LONGEST_LINE = 1 << 20
_NAMED = 5
_NO_VALUE = {"", "na", "n/a", "null", "none"}

csv.field_size_limit(LONGEST_LINE)


class TakesColumns(Protocol):
    """What must be known of a model to read its input."""

    @property
    def ref(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def features(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Columns:
    """How to read a line. positions: of the model's features, in the model's order. names: the file's header, or ()."""

    delimiter: str
    width_in_file: int
    positions: tuple[int, ...]
    id_position: int | None = None
    names: tuple[str, ...] = ()
    decimal: str = "."

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Columns:
        return cls(**saved | {"positions": tuple(saved["positions"]), "names": tuple(saved["names"])})

    def with_decimal(self, decimal: str) -> Columns:
        return replace(self, decimal=decimal)


@dataclass(frozen=True)
class FirstLine:
    columns: Columns
    is_header: bool
    notes: tuple[str, ...]


class UnclosedQuote(Exception):
    """A quoted cell does not end on its line."""


def by_position(card: TakesColumns, delimiter: str = ",") -> Columns:
    return Columns(delimiter, card.width, tuple(range(card.width)))


def cells_of(line: str, delimiter: str) -> list[str]:
    """The cells of one line, unquoted. Raises UnclosedQuote."""
    if '"' not in line:
        return line.split(delimiter)
    reader = csv.reader([line, ""], delimiter=delimiter)
    cells = next(reader)
    if reader.line_num > 1:  # it went on to the next line to look for the closing quote
        raise UnclosedQuote
    return cells


def judge_first_line(line: str, card: TakesColumns) -> FirstLine:
    """Tell header from data and find the model's columns. Raises InvalidInput."""
    delimiter = max(DELIMITERS, key=lambda candidate: _likelihood(line, candidate, card))
    cells = [cell.strip() for cell in _cells_or_refusal(line, delimiter)]
    found = set(cells) & set(card.features)
    if found and (not _is_row(cells, delimiter) or len(found) == card.width):
        return _by_name(cells, delimiter, card)
    _refuse_other_width(cells, card)
    if _may_be_counted_header(cells):
        raise InvalidInput(
            f"The first line counts {cells[0]}, {cells[1]}, … {cells[-1]}: it may be a header or a row. "
            f"Give the file a header with the model's names ({_some(card.features)}), or remove that line."
        )
    return _by_position(cells, delimiter, card)


def _by_name(cells: list[str], delimiter: str, card: TakesColumns) -> FirstLine:
    _refuse_missing(cells, card)
    ids = [at for at, name in enumerate(cells) if name.lower() == "id" and name not in card.features]
    _refuse_repeated(cells, card, ids)
    at = {name: position for position, name in enumerate(cells)}
    positions = tuple(at[name] for name in card.features)
    id_position = ids[0] if ids else None
    ignored = [name or "(no name)" for name in cells if name not in card.features and name.lower() != "id"]
    notes = [f"{_columns(len(ignored))} ignored: {_some(ignored)}."] if ignored else []
    if list(positions) != sorted(positions):
        notes.append("The columns were put into the model's order by their names.")
    return FirstLine(Columns(delimiter, len(cells), positions, id_position, tuple(cells)), True, tuple(notes))


def _by_position(cells: list[str], delimiter: str, card: TakesColumns) -> FirstLine:
    columns = by_position(card, delimiter)
    numbers = sum(_is_like_a_number(cell, delimiter) for cell in cells)
    if not numbers:
        note = f"The header names none of the features of {card.ref}; the columns are taken by position."
        return FirstLine(replace(columns, names=tuple(cells)), True, (note,))
    notes = ["The file has no header; the columns are taken by position."]
    if numbers < len(cells):
        notes.append("The first line holds numbers, so it is taken as a row and not as a header.")
    return FirstLine(columns, False, tuple(notes))


def _likelihood(line: str, delimiter: str, card: TakesColumns) -> tuple[int, bool, int, int]:
    if delimiter not in line:
        return (0, False, 0, -DELIMITERS.index(delimiter))
    try:
        cells = [cell.strip() for cell in cells_of(line, delimiter)]
    except UnclosedQuote:
        return (0, False, 0, -DELIMITERS.index(delimiter))
    return (len(set(cells) & set(card.features)), len(cells) == card.width, len(cells), 0)


def _cells_or_refusal(line: str, delimiter: str) -> list[str]:
    count = line.count(delimiter) + 1
    if count > MOST_COLUMNS:
        raise InvalidInput(f"The first line has {count:,} columns; at most {MOST_COLUMNS:,} are read.")
    try:
        return cells_of(line, delimiter)
    except UnclosedQuote:
        raise InvalidInput("The first line has an unclosed quote; a cell must end on the line it starts on.") from None


def _is_row(cells: list[str], delimiter: str) -> bool:
    return all(_is_like_a_number(cell, delimiter) for cell in cells)


def _is_like_a_number(cell: str, delimiter: str) -> bool:
    """Also what stands for a missing number: nobody names a column so."""
    if cell.lower() in _NO_VALUE or fault_of_text(cell) in (None, NOT_FINITE):
        return True
    return delimiter != "," and fault_of_text(cell, ",") is None


def _may_be_counted_header(cells: list[str]) -> bool:
    """0, 1, 2, … is what pandas writes over columns without names; it must not become a row in silence."""
    return len(cells) > 2 and any(cells == [str(at + start) for at in range(len(cells))] for start in (0, 1))


def _refuse_missing(cells: list[str], card: TakesColumns) -> None:
    given = set(cells)
    missing = [name for name in card.features if name not in given]
    if missing:
        raise InvalidInput(
            f"The header lacks {len(missing)} of the {card.width} features of {card.ref}: {_some(missing)}.",
            [{"column": name, "message": "missing in the header"} for name in missing],
        )


def _refuse_repeated(cells: list[str], card: TakesColumns, ids: list[int]) -> None:
    counts = Counter(cells)
    repeated = [name for name in card.features if counts[name] > 1] + ([cells[ids[0]]] if len(ids) > 1 else [])
    if repeated:
        raise InvalidInput(
            f"The header names {_some(repeated)} more than once; each may stand there once.",
            [{"column": name, "message": "more than once in the header"} for name in repeated],
        )


def _refuse_other_width(cells: list[str], card: TakesColumns) -> None:
    if len(cells) == card.width:
        return
    values = "1 value" if len(cells) == 1 else f"{len(cells):,} values"
    raise InvalidInput(
        f"The first line has {values} and names none of the features of {card.ref}, which takes {card.width}. "
        "Values are separated by commas, semicolons, tabs or |; a header with the model's names may stand above them."
    )


def _columns(count: int) -> str:
    return "1 column is" if count == 1 else f"{count:,} columns are"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(cut(name) for name in names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED:,} more"

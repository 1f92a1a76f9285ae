"""Which columns of a file a model reads, what is said of them, and how a line falls into cells."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from predictions.numbers_in_text import cut

DELIMITERS = ",;\t|"
MOST_COLUMNS = 10_000
LONGEST_LINE = 1 << 20
DECIMAL_COMMA = "Numbers are read with a decimal comma."
_NAMED = 5

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
    """How to read a line. positions: of the model's features, in the model's order. names: the file's header, or ().

    No position: the header does not name the features, and nobody has said yet which column stands for which.
    """

    delimiter: str
    width_in_file: int
    positions: tuple[int, ...]
    id_position: int | None = None
    names: tuple[str, ...] = ()
    decimal: str = "."

    @property
    def are_matched(self) -> bool:
        return bool(self.positions)

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Columns:
        return cls(**saved | {"positions": tuple(saved["positions"]), "names": tuple(saved["names"])})

    def with_decimal(self, decimal: str) -> Columns:
        return replace(self, decimal=decimal)


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


def matched(columns: Columns, positions: Sequence[int]) -> Columns:
    """The same file, its features read from these places; an id column that none of them takes is kept."""
    ids = [at for at in id_positions(columns.names) if at not in positions]
    return replace(columns, positions=tuple(positions), id_position=ids[0] if len(ids) == 1 else None)


def id_positions(names: Sequence[str], features: Sequence[str] = ()) -> list[int]:
    return [at for at, name in enumerate(names) if name.lower() == "id" and name not in features]


def notes_about(columns: Columns) -> list[str]:
    """What is said of columns that were matched by their names: which are ignored, and in which order they stand."""
    used = {*columns.positions, columns.id_position}
    ignored = [name or "(no name)" for at, name in enumerate(columns.names) if at not in used]
    notes = [f"{_columns(len(ignored))} ignored: {some(ignored)}."] if ignored else []
    if list(columns.positions) != sorted(columns.positions):
        notes.append("The columns were put into the model's order by their names.")
    return notes


def note_of_before(card: TakesColumns) -> str:
    return f"Columns matched as you did before for {card.ref.partition('@')[0]}."


def note_of_position(card: TakesColumns) -> str:
    return f"The header names none of the features of {card.ref}; the columns are taken by position."


def _columns(count: int) -> str:
    return "1 column is" if count == 1 else f"{count:,} columns are"


def some(names: Sequence[str]) -> str:
    shown = ", ".join(cut(name) for name in names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED:,} more"

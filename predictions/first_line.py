"""The judgement of a file's first line: header or row, and which of its columns the model reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from predictions.column_suggestions import names_speak_against_position
from predictions.columns import (
    DELIMITERS,
    MOST_COLUMNS,
    Columns,
    TakesColumns,
    UnclosedQuote,
    by_position,
    cells_of,
    id_positions,
    matched,
    note_of_before,
    note_of_position,
    notes_about,
    some,
)
from predictions.errors import InvalidInput
from predictions.numbers_in_text import NOT_FINITE, fault_of_text

_NO_VALUE = {"", "na", "n/a", "null", "none"}


@dataclass(frozen=True)
class FirstLine:
    columns: Columns
    is_header: bool
    notes: tuple[str, ...]


def judge_first_line(
    line: str, card: TakesColumns, mapping: Mapping[str, str] | None = None, may_map: bool = False
) -> FirstLine:
    """Tell header from data and find the model's columns. Raises InvalidInput.

    mapping: the column that stands for each feature, as its owner said before; it counts where the header has them all.
    may_map: a header that could be matched by hand is not refused; its columns have no positions.
    """
    wanted = {*card.features, *(mapping or {}).values()}
    delimiter = max(DELIMITERS, key=lambda candidate: _likelihood(line, candidate, wanted, card.width))
    cells = [cell.strip() for cell in _cells_or_refusal(line, delimiter)]
    found = set(cells) & set(card.features)
    if len(found) == card.width:
        return _by_name(cells, delimiter, card)
    if mapping and _fits(mapping, cells, card):
        return _as_before(cells, delimiter, card, mapping)
    if may_map and _is_to_be_matched(cells, delimiter, card):
        return FirstLine(matched(Columns(delimiter, len(cells), (), None, tuple(cells)), ()), True, ())
    if found and not _is_row(cells, delimiter):
        _refuse_missing(cells, card)
    _refuse_other_width(cells, card, may_map)
    if _may_be_counted_header(cells):
        raise InvalidInput(
            f"The first line counts {cells[0]}, {cells[1]}, … {cells[-1]}: it may be a header or a row. "
            f"Give the file a header with the model's names ({some(card.features)}), or remove that line."
        )
    return _by_position(cells, delimiter, card)


def judge_names(names: Sequence[str], card: TakesColumns, mapping: Mapping[str, str] | None = None) -> FirstLine:
    """The same for a table that is no text: its columns have names in any case. Raises InvalidInput."""
    cells = list(names)
    found = set(cells) & set(card.features)
    if len(found) == card.width:
        return _by_name(cells, ",", card)
    if mapping and _fits(mapping, cells, card):
        return _as_before(cells, ",", card, mapping)
    if found:
        _refuse_missing(cells, card)
    if len(cells) != card.width:
        count = "1 column" if len(cells) == 1 else f"{len(cells):,} columns"
        raise InvalidInput(
            f"The table has {count} and names none of the features of {card.ref}, which takes {card.width}."
        )
    return FirstLine(replace(by_position(card), names=tuple(cells)), True, (note_of_position(card),))


def _fits(mapping: Mapping[str, str], cells: list[str], card: TakesColumns) -> bool:
    """It names a column of its own for every feature, and the header has each of them once."""
    counts = Counter(cells)
    columns = [mapping.get(feature, "") for feature in card.features]
    return len(set(columns)) == card.width and all(counts[column] == 1 for column in columns)


def _as_before(cells: list[str], delimiter: str, card: TakesColumns, mapping: Mapping[str, str]) -> FirstLine:
    positions = [cells.index(mapping[feature]) for feature in card.features]
    columns = matched(Columns(delimiter, len(cells), (), None, tuple(cells)), positions)
    return FirstLine(columns, True, (note_of_before(card), *notes_about(columns)))


def _is_to_be_matched(cells: list[str], delimiter: str, card: TakesColumns) -> bool:
    """A header with columns enough, whose names or width do not already say which stands for which feature."""
    found = set(cells) & set(card.features)
    is_header = (
        not _is_row(cells, delimiter) if found else not any(_is_like_a_number(cell, delimiter) for cell in cells)
    )
    if not is_header or len(cells) - len(id_positions(cells, card.features)) < card.width:
        return False
    return bool(found) or len(cells) != card.width or names_speak_against_position(cells, card.features)


def _by_name(cells: list[str], delimiter: str, card: TakesColumns) -> FirstLine:
    ids = id_positions(cells, card.features)
    _refuse_repeated(cells, card, ids)
    at = {name: position for position, name in enumerate(cells)}
    positions = tuple(at[name] for name in card.features)
    columns = Columns(delimiter, len(cells), positions, ids[0] if ids else None, tuple(cells))
    return FirstLine(columns, True, tuple(notes_about(columns)))


def _by_position(cells: list[str], delimiter: str, card: TakesColumns) -> FirstLine:
    columns = by_position(card, delimiter)
    numbers = sum(_is_like_a_number(cell, delimiter) for cell in cells)
    if not numbers:
        return FirstLine(replace(columns, names=tuple(cells)), True, (note_of_position(card),))
    notes = ["The file has no header; the columns are taken by position."]
    if numbers < len(cells):
        notes.append("The first line holds numbers, so it is taken as a row and not as a header.")
    return FirstLine(columns, False, tuple(notes))


def _likelihood(line: str, delimiter: str, wanted: set[str], width: int) -> tuple[int, int, int, int]:
    """Of two delimiters that give the right number of cells, the one that leaves more numbers: 0,5;1,5;2 has both."""
    if delimiter not in line:
        return (0, -1, 0, -DELIMITERS.index(delimiter))
    try:
        cells = [cell.strip() for cell in cells_of(line, delimiter)]
    except UnclosedQuote:
        return (0, -1, 0, -DELIMITERS.index(delimiter))
    numbers = sum(_is_like_a_number(cell, delimiter) for cell in cells) if len(cells) == width else -1
    return (len(set(cells) & wanted), numbers, len(cells), 0)


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
            f"The header lacks {len(missing)} of the {card.width} features of {card.ref}: {some(missing)}.",
            [{"column": name, "message": "missing in the header"} for name in missing],
        )


def _refuse_repeated(cells: list[str], card: TakesColumns, ids: list[int]) -> None:
    counts = Counter(cells)
    repeated = [name for name in card.features if counts[name] > 1] + ([cells[ids[0]]] if len(ids) > 1 else [])
    if repeated:
        raise InvalidInput(
            f"The header names {some(repeated)} more than once; each may stand there once.",
            [{"column": name, "message": "more than once in the header"} for name in repeated],
        )


def _refuse_other_width(cells: list[str], card: TakesColumns, may_map: bool) -> None:
    if len(cells) == card.width:
        return
    values = "1 value" if len(cells) == 1 else f"{len(cells):,} values"
    cure = " Under a header of other names you choose the columns here." if may_map else ""
    raise InvalidInput(
        f"The first line has {values} and names none of the features of {card.ref}, which takes {card.width}. "
        "Values are separated by commas, semicolons, tabs or |; a header with the model's names may stand above them."
        + cure
    )

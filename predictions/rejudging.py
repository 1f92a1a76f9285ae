"""Judges the first rows of a stored upload anew, as Ingest judged them when the file came: its columns have changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from predictions.columns import DECIMAL_COMMA, Columns, TakesColumns, UnclosedQuote, cells_of
from predictions.csv_reading import read_block
from predictions.errors import SHOWN
from predictions.ingest import JUDGED_ROWS, JUDGED_WHOLE_BYTES
from predictions.numbers_in_text import fault_of_text
from predictions.parts import Plan


def judge_anew(plan: Plan, card: TakesColumns, parts: Iterable[bytes]) -> Plan:
    """The plan with its decimal sign and the places of its bad cells decided by its columns. parts: read only as needed."""
    judged, judged_all = _judged(plan, parts)
    columns = plan.columns.with_decimal(_decimal(judged, plan.columns))
    others = [note for note in plan.notes if note != DECIMAL_COMMA]
    bad = read_block(judged, columns, card.features, plan.parts[0].first_line, 1).bad
    return replace(
        plan,
        columns=columns,
        notes=[*others, DECIMAL_COMMA] if columns.decimal == "," else others,
        places=[cell.as_place() for cell in bad[:SHOWN]],
        bad_rows=len({cell.row for cell in bad}),
        bad_cells=len(bad),
        truncated_judgement=not judged_all,
    )


def _judged(plan: Plan, parts: Iterable[bytes]) -> tuple[bytes, bool]:
    """The whole file where it is small, else its first rows; and whether that is all."""
    if plan.size_bytes <= JUDGED_WHOLE_BYTES:
        return b"".join(parts), True
    lines = next(iter(parts)).split(b"\n")
    rows = [at for at, line in enumerate(lines, start=1) if line.strip(b" ")]
    last = rows[:JUDGED_ROWS][-1]
    return b"\n".join(lines[:last]) + b"\n", len(plan.parts) == 1 and len(rows) <= JUDGED_ROWS


def _decimal(data: bytes, columns: Columns) -> str:
    """By the first number with a comma or a point in a column that is read."""
    if columns.delimiter == ",":
        return "."
    for cell in _cells_read(data, columns):
        for sign in ",.":
            if sign in cell and fault_of_text(cell, sign) is None:
                return sign
    return columns.decimal


def _cells_read(data: bytes, columns: Columns) -> Iterator[str]:
    for line in data.decode().split("\n"):
        if "," not in line and "." not in line:
            continue
        try:
            cells = cells_of(line, columns.delimiter)
        except UnclosedQuote:
            continue
        yield from (cells[at] for at in columns.positions if at < len(cells))

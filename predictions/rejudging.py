"""Judges the first rows of a stored upload anew, as Ingest judged them when the file came: its columns have changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain

from predictions.columns import DECIMAL_COMMA, Columns, TakesColumns, UnclosedQuote, cells_of
from predictions.csv_reading import blocks
from predictions.errors import InvalidInput
from predictions.first_rows import JUDGED_WHOLE_BYTES, FirstRows
from predictions.numbers_in_text import fault_of_text
from predictions.parts import Plan


def judge_anew(plan: Plan, card: TakesColumns, parts: Iterable[bytes]) -> Plan:
    """The plan with its decimal sign and the places of its bad cells decided by its columns. parts: read only as needed.

    Raises InvalidInput where most of the first rows are bad so.
    """
    first = FirstRows(card.features, plan.parts[0].first_line)
    text, is_enough = _fill(first, plan, parts)
    columns = plan.columns.with_decimal(_decimal(text, plan.columns))
    judged = first.judged(columns, plan.size_bytes)
    if is_enough and judged.bad_rows * 2 > judged.rows:
        sentence = (
            f"{judged.bad_rows:,} of the first {judged.rows:,} rows cannot be read so, more than half. Choose others."
        )
        raise InvalidInput(sentence, judged.places, len(judged.bad))
    others = [note for note in plan.notes if note != DECIMAL_COMMA]
    return replace(
        plan,
        columns=columns,
        notes=[*others, DECIMAL_COMMA] if columns.decimal == "," else others,
        places=judged.places,
        bad_rows=judged.bad_rows,
        bad_cells=len(judged.bad),
        truncated_judgement=not judged.is_all,
    )


def _fill(first: FirstRows, plan: Plan, parts: Iterable[bytes]) -> tuple[bytes, bool]:
    """What was read to judge it by, and whether those are as many rows as a large file is judged by."""
    text = bytearray()
    is_enough = False
    for block, _, _ in chain.from_iterable(map(blocks, parts)):
        had_enough, is_enough = is_enough, first.keep(block, plan.size_bytes) or is_enough
        text += block
        if had_enough and plan.size_bytes > JUDGED_WHOLE_BYTES:
            break
    return bytes(text), is_enough


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

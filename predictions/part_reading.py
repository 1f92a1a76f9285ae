"""Reads a stored part a block at a time, whatever its format; a caller can stop after any block and say where it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from predictions import tables
from predictions.csv_reading import Block, blocks, read_block
from predictions.parts import Plan


class Read(NamedTuple):
    """rows, lines: of this block. end: where in the part the next block begins, in bytes of a CSV or rows of a table."""

    block: Block
    rows: int
    lines: int
    end: int


def read_part(
    data: bytes, plan: Plan, features: Sequence[str], start: int, first_row: int, first_line: int
) -> Iterator[Read]:
    """The blocks of a part from `start`, where the row `first_row` stands on the line `first_line`; each read when asked for."""
    if plan.format == "table":
        return _read_table(data, features, start, first_row)
    return _read_csv(data, plan, features, start, first_row, first_line)


def _read_table(data: bytes, features: Sequence[str], start: int, first_row: int) -> Iterator[Read]:
    """A table has no lines."""
    for block, rows, end in tables.read_part(data, features, start, first_row):
        yield Read(block, rows, 0, end)


def _read_csv(
    data: bytes, plan: Plan, features: Sequence[str], start: int, first_row: int, first_line: int
) -> Iterator[Read]:
    row, line, end = first_row, first_line, start
    for text, lines, rows in blocks(data[start:] if start else data):
        end += len(text)
        yield Read(read_block(text, plan.columns, features, line, row), rows, lines, end)
        row, line = row + rows, line + lines

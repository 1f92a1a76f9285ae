"""The parts a job's rows are kept in, and the plan that says what lies in which of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from predictions.columns import Columns
from predictions.errors import Place
from predictions.line_ends import first_text, rows_and_lines

Put = Callable[[int, bytes], None]
"""Takes bytes of a part, which go behind those it was given before. Parts come in order: with the next one the last is whole."""


@dataclass(frozen=True)
class Part:
    """first_row and first_line count from 1; lines include the blank ones, rows do not."""

    number: int
    first_row: int
    first_line: int
    rows: int
    lines: int
    size_bytes: int


@dataclass(frozen=True)
class Plan:
    """What lies in which part. places, bad_rows, bad_cells: of what was judged, all unless truncated_judgement."""

    parts: list[Part]
    rows: int
    size_bytes: int
    columns: Columns
    notes: list[str]
    places: list[Place]
    bad_rows: int
    bad_cells: int
    preview: list[list[str]]
    truncated_judgement: bool
    format: str = "csv"

    def as_json(self) -> dict[str, Any]:
        return vars(self) | {"parts": [vars(part) for part in self.parts], "columns": self.columns.as_json()}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Plan:
        parts = [Part(**part) for part in saved["parts"]]
        return cls(**saved | {"parts": parts, "columns": Columns.from_json(saved["columns"])})


class Parts:
    """Cuts whole lines into parts of about part_bytes; the cuts do not depend on how the bytes arrived.

    A part is never held: its lines are put as they come. It begins with a row, so that none is empty.
    """

    def __init__(self, put: Put, part_bytes: int, first_line: int) -> None:
        self.made: list[Part] = []
        self.rows = 0
        self._put = put
        self._part_bytes = part_bytes
        self._line = first_line
        self._part: Part | None = None

    def add(self, lines: bytes) -> None:
        start = 0
        while start < len(lines):
            if self._part is None:
                start = self._begin(lines, start)
            if self._part is not None:
                end = lines.find(b"\n", start + self._part_bytes - self._part.size_bytes - 1) + 1 or len(lines)
                self._grow(self._part, lines[start:end])
                start = end

    def finish(self) -> list[Part]:
        if self._part is not None:
            self.made.append(self._part)
            self._part = None
        return self.made

    def _begin(self, lines: bytes, start: int) -> int:
        """Begins a part with the first line that is not blank; returns where that is, or the end where there is none."""
        begin = first_text(lines, start)
        self._line += lines.count(b"\n", start, begin)
        if begin < len(lines):
            self._part = Part(len(self.made), self.rows + 1, self._line, 0, 0, 0)
        return begin

    def _grow(self, part: Part, lines: bytes) -> None:
        rows, ended = rows_and_lines(lines)
        self._put(part.number, lines)
        self.rows += rows
        self._line += ended
        grown = {"rows": part.rows + rows, "lines": part.lines + ended, "size_bytes": part.size_bytes + len(lines)}
        self._part = replace(part, **grown)
        if self._part.size_bytes >= self._part_bytes:
            self.finish()

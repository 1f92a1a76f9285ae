"""The parts a job's rows are kept in, and the plan that says what lies in which of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from predictions.columns import Columns
from predictions.errors import Place
from predictions.line_ends import rows_and_lines

Put = Callable[[int, bytes], None]


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
    """Cuts whole lines into parts of about part_bytes; the cuts do not depend on how the bytes arrived."""

    def __init__(self, put: Put, part_bytes: int, first_line: int) -> None:
        self.made: list[Part] = []
        self.rows = 0
        self._put = put
        self._part_bytes = part_bytes
        self._line = first_line
        self._waiting = BytesIO()

    def add(self, lines: bytes) -> None:
        start = 0
        while len(lines) - start >= (lacking := self._part_bytes - self._waiting.tell()):
            end = lines.find(b"\n", start + lacking - 1) + 1 or len(lines)
            self._waiting.write(lines[start:end])
            self._cut()
            start = end
        self._waiting.write(lines[start:])

    def finish(self) -> list[Part]:
        if self._waiting.tell():
            self._cut()
        return self.made

    def _cut(self) -> None:
        data, self._waiting = self._waiting.getvalue(), BytesIO()  # the value is no copy
        rows, lines = rows_and_lines(data)
        if rows:
            part = Part(len(self.made), self.rows + 1, self._line, rows, lines, len(data))
            self._put(part.number, data)
            self.made.append(part)
        self.rows += rows
        self._line += lines

"""The parts a job's rows are kept in, and the plan that says what lies in which of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
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
        return asdict(self)

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
        self._waiting = bytearray()

    def add(self, lines: bytes) -> None:
        self._waiting += lines
        while len(self._waiting) >= self._part_bytes:
            self._cut(self._waiting.find(b"\n", self._part_bytes - 1) + 1 or len(self._waiting))

    def finish(self) -> list[Part]:
        if self._waiting:
            self._cut(len(self._waiting))
        return self.made

    def _cut(self, end: int) -> None:
        with memoryview(self._waiting) as waiting:
            data = waiting[:end].tobytes()
        del self._waiting[:end]
        rows, lines = rows_and_lines(data)
        if rows:
            part = Part(len(self.made), self.rows + 1, self._line, rows, lines, len(data))
            self._put(part.number, data)
            self.made.append(part)
        self.rows += rows
        self._line += lines

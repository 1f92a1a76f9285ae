"""Takes a file as it arrives, judges its outside and cuts it into parts, or refuses it early with a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import orjson

from predictions.columns import (
    DECIMAL_COMMA,
    LONGEST_LINE,
    Columns,
    TakesColumns,
    UnclosedQuote,
    by_position,
    cells_of,
    judge_first_line,
)
from predictions.csv_reading import read_block, rows_in
from predictions.encoding import PlainText
from predictions.errors import SHOWN, InvalidInput, TooLarge
from predictions.numbers_in_text import cut
from predictions.parts import Part, Parts, Plan, Put

PART_BYTES = 4_000_000
JUDGED_WHOLE_BYTES = 1 << 20
JUDGED_ROWS = 1_000
PREVIEW_ROWS = 5
_SLICE_BYTES = 1 << 20
_MOST_JUDGED_BYTES = 4 * _SLICE_BYTES

__all__ = ["Ingest", "Part", "Plan", "ingest_rows"]


class Ingest:
    """One file: feed it blocks, then close it. Both raise Refused as soon as the file shows its fault.

    mapping, may_map: as judge_first_line takes them.
    """

    def __init__(
        self,
        card: TakesColumns,
        put: Put,
        max_bytes: int,
        part_bytes: int = PART_BYTES,
        *,
        mapping: Mapping[str, str] | None = None,
        may_map: bool = False,
    ) -> None:
        self._card = card
        self._mapping = mapping
        self._may_map = may_map
        self._put = put
        self._max_bytes = max_bytes
        self._part_bytes = part_bytes
        self._size_bytes = 0
        self._text = PlainText()
        self._tail = bytearray()
        self._line = 1
        self._notes: list[str] = []
        self._columns: Columns | None = None
        self._parts: Parts | None = None
        self._decimal: str | None = None
        self._judged = bytearray()
        self._judged_rows = 0
        self._judged_all = True
        self._first_data_line = 1

    def feed(self, block: bytes) -> None:
        self._size_bytes += len(block)
        if self._size_bytes > self._max_bytes:
            raise TooLarge(f"The file is larger than {self._max_bytes:,} bytes, the most that is taken.")
        for start in range(0, len(block), _SLICE_BYTES):
            self._take(self._text.feed(block[start : start + _SLICE_BYTES]))

    def close(self) -> Plan:
        self._take(self._text.finish())
        if self._tail:
            self._take(b"\n")
        if self._columns is None or self._parts is None:
            raise InvalidInput("The file is empty; at least one row is needed.")
        parts = self._parts.finish()
        if not parts:
            raise InvalidInput("The file has a header but no row.")
        return self._plan(parts, self._parts.rows, self._columns.with_decimal(self._decimal or "."))

    def _take(self, text: bytes) -> None:
        """Lets whole lines go on and keeps the begun one."""
        end = text.rfind(b"\n") + 1
        self._refuse_endless_line(text, text.find(b"\n") if end else len(text))
        if not end:
            self._tail += text
            return
        lines = bytes(self._tail) + text[:end]
        self._tail = bytearray(text[end:])
        self._take_lines(lines)

    def _refuse_endless_line(self, text: bytes, first_end: int) -> None:
        if len(self._tail) + first_end > LONGEST_LINE:
            raise InvalidInput(f"Line {self._line:,} is longer than {LONGEST_LINE:,} bytes, the most a line may have.")

    def _take_lines(self, lines: bytes) -> None:
        self._line += lines.count(b"\n")
        if self._parts is None:
            lines = self._after_first_line(lines, self._line - lines.count(b"\n"))
        if self._parts is not None and lines:
            self._decide_decimal(lines)
            self._keep_for_judgement(lines)
            self._parts.add(lines)

    def _after_first_line(self, lines: bytes, number: int) -> bytes:
        """Finds the first line that is not blank, judges it, and returns the data from there on."""
        start = 0
        while start < len(lines):
            end = lines.index(b"\n", start)
            if lines[start:end].strip(b" "):
                return self._begin(lines, start, end + 1, number)
            start, number = end + 1, number + 1
        return b""

    def _begin(self, lines: bytes, start: int, end: int, number: int) -> bytes:
        first = judge_first_line(lines[start : end - 1].decode(), self._card, self._mapping, self._may_map)
        self._columns = first.columns
        self._notes += first.notes
        self._first_data_line = number + first.is_header
        self._parts = Parts(self._put, self._part_bytes, self._first_data_line)
        return lines[end if first.is_header else start :]

    def _decide_decimal(self, lines: bytes) -> None:
        """The first number with a comma or a point in it decides; where commas separate cells they cannot be both."""
        if self._columns is None or self._decimal is not None or self._columns.delimiter == ",":
            return
        comma, point = (_first_number(lines, self._columns.delimiter, sign) for sign in (b",", b"."))
        if comma < point:
            self._decimal = ","
            self._notes.append(DECIMAL_COMMA)
        elif point < comma:
            self._decimal = "."

    def _keep_for_judgement(self, lines: bytes) -> None:
        enough = self._judged_rows >= JUDGED_ROWS and self._size_bytes > JUDGED_WHOLE_BYTES
        if enough or len(self._judged) + len(lines) > _MOST_JUDGED_BYTES:
            self._judged_all = False
        elif self._judged_all:
            self._judged += lines
            self._judged_rows += rows_in(lines)

    def _plan(self, parts: list[Part], rows: int, columns: Columns) -> Plan:
        judged, judged_all = bytes(self._judged), self._judged_all
        if self._size_bytes > JUDGED_WHOLE_BYTES and self._judged_rows > JUDGED_ROWS:
            judged, judged_all = _first_rows(judged, JUDGED_ROWS), False
        bad = (
            read_block(judged, columns, self._card.features, self._first_data_line, 1).bad if columns.are_matched else []
        )
        return Plan(
            parts=parts,
            rows=rows,
            size_bytes=self._size_bytes,
            columns=columns,
            notes=self._text.notes + self._notes,
            places=[cell.as_place() for cell in bad[:SHOWN]],
            bad_rows=len({cell.row for cell in bad}),
            bad_cells=len(bad),
            preview=_preview(judged, columns),
            truncated_judgement=not judged_all,
        )


def ingest_rows(rows: Sequence[Sequence[float]], card: TakesColumns, put: Put, part_bytes: int = PART_BYTES) -> Plan:
    """Rows that were judged already become parts of the same kind as a file's."""
    columns = by_position(card)
    parts = Parts(put, part_bytes, 1)
    size_bytes = 0
    for row in rows:
        line = orjson.dumps(row)[1:-1] + b"\n"
        size_bytes += len(line)
        parts.add(line)
    preview = [[repr(value) for value in row] for row in rows[:PREVIEW_ROWS]]
    made = parts.finish()
    return Plan(made, parts.rows, size_bytes, columns, [], [], 0, 0, preview, False)


def _first_number(lines: bytes, delimiter: str, sign: bytes) -> int:
    """Where the first cell stands that is a number with this sign before its decimals."""
    if sign not in lines:
        return len(lines)
    edge = b"[%b\n]" % re.escape(delimiter.encode())
    number = rb"[+-]?[0-9]*%b[0-9]+(?:[eE][+-]?[0-9]+)?" % re.escape(sign)
    found = re.search(rb"(?:^|%b)[ \"]*%b[ \"]*(?=$|%b)" % (edge, number, edge), lines)
    return found.start() if found else len(lines)


def _rows_of(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Each line that is not blank, with the position of its end."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start) + 1 or len(data)
        if (line := data[start:end].rstrip(b"\n")).strip(b" "):
            yield line, end
        start = end


def _first_rows(data: bytes, count: int) -> bytes:
    for number, (_, end) in enumerate(_rows_of(data), start=1):
        if number == count:
            return data[:end]
    return data


def _preview(data: bytes, columns: Columns) -> list[list[str]]:
    lines = (line.decode() for _, (line, _) in zip(range(PREVIEW_ROWS), _rows_of(data), strict=False))
    return [[cut(cell) for cell in _cells_or_line(line, columns.delimiter)] for line in lines]


def _cells_or_line(line: str, delimiter: str) -> list[str]:
    try:
        return cells_of(line, delimiter)
    except UnclosedQuote:
        return [line]

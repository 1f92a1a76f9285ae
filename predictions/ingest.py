"""Takes a file as it arrives, judges its outside and cuts it into parts, or refuses it early with a sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping

from predictions.columns import (
    DECIMAL_COMMA,
    LONGEST_LINE,
    Columns,
    TakesColumns,
)
from predictions.encoding import PlainText
from predictions.errors import InvalidInput, TooLarge
from predictions.first_line import judge_first_line
from predictions.first_rows import JUDGED_ROWS, JUDGED_WHOLE_BYTES, PREVIEW_ROWS, FirstRows, Judged
from predictions.line_ends import first_text, line_count
from predictions.parts import Part, Parts, Plan, Put

PART_BYTES = 4_000_000
_SLICE_BYTES = 1 << 20
_LONGEST_WHOLE = 64

__all__ = ["JUDGED_ROWS", "JUDGED_WHOLE_BYTES", "PREVIEW_ROWS", "Ingest", "Part", "Plan"]


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
        self._first_rows: FirstRows | None = None

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
        if self._columns is None or self._parts is None or self._first_rows is None:
            raise InvalidInput("The file is empty; at least one row is needed.")
        parts = self._parts.finish()
        if not parts:
            raise InvalidInput("The file has a header but no row.")
        columns = self._columns.with_decimal(self._decimal or ".")
        return self._plan(parts, self._parts.rows, columns, self._first_rows.judged(columns, self._size_bytes))

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
        first = self._line
        self._line += line_count(lines)
        if self._parts is None:
            lines = self._after_first_line(lines, first)
        if self._parts is not None and lines:
            self._decide_decimal(lines)
            self._judge_early(lines)
            self._parts.add(lines)

    def _after_first_line(self, lines: bytes, number: int) -> bytes:
        """Finds the first line that is not blank, judges it, and returns the data from there on."""
        start = first_text(lines)
        if start == len(lines):
            return b""
        return self._begin(lines, start, lines.index(b"\n", start) + 1, number + line_count(lines[:start]))

    def _begin(self, lines: bytes, start: int, end: int, number: int) -> bytes:
        first = judge_first_line(lines[start : end - 1].decode(), self._card, self._mapping, self._may_map)
        self._columns = first.columns
        self._notes += first.notes
        first_data_line = number + first.is_header
        self._first_rows = FirstRows(self._card.features, first_data_line)
        self._parts = Parts(self._put, self._part_bytes, first_data_line)
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

    def _judge_early(self, lines: bytes) -> None:
        assert self._columns is not None and self._first_rows is not None
        if self._first_rows.keep(lines, self._size_bytes):
            self._first_rows.refuse_mostly_bad(self._columns.with_decimal(self._decimal or "."))

    def _plan(self, parts: list[Part], rows: int, columns: Columns, judged: Judged) -> Plan:
        return Plan(
            parts=parts,
            rows=rows,
            size_bytes=self._size_bytes,
            columns=columns,
            notes=self._text.notes + self._notes,
            places=judged.places,
            bad_rows=judged.bad_rows,
            bad_cells=len(judged.bad),
            preview=judged.preview,
            truncated_judgement=not judged.is_all,
        )


def _first_number(lines: bytes, delimiter: str, sign: bytes) -> int:
    """Where the first cell stands that is a number with this sign before its decimals."""
    edge = b"[%b\n]" % re.escape(delimiter.encode())
    decimals = rb"%b[0-9]+(?:[eE][+-]?[0-9]+)?[ \"]*(?=%b)" % (re.escape(sign), edge)
    before = re.compile(rb"(?:\A|.*%b)[ \"]*[+-]?[0-9]*\Z" % edge, re.DOTALL)
    for found in re.finditer(decimals, lines):  # the sign first: it is rare where it is not the decimal one
        if before.match(lines[max(found.start() - _LONGEST_WHOLE, 0) : found.start()]):
            return found.start()
    return len(lines)

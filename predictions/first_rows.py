"""The first rows of a file: judged before the rest has come, and again for its plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from predictions.columns import Columns, UnclosedQuote, cells_of
from predictions.csv_reading import BadCell, read_block
from predictions.errors import SHOWN, InvalidInput, Place
from predictions.line_ends import are_blank, line_ends, rows_in
from predictions.numbers_in_text import cut

JUDGED_WHOLE_BYTES = 1 << 20
JUDGED_ROWS = 1_000
PREVIEW_ROWS = 5
_MOST_BYTES = 4 << 20


class Judged(NamedTuple):
    """is_all: the whole file was judged."""

    rows: int
    bad_rows: int
    bad: Sequence[BadCell]
    preview: list[list[str]]
    is_all: bool

    @property
    def places(self) -> list[Place]:
        return [cell.as_place() for cell in self.bad[:SHOWN]]


class FirstRows:
    """All rows of a small file; of a large one enough to judge it by."""

    def __init__(self, features: Sequence[str], first_line: int) -> None:
        self._features = features
        self._first_line = first_line
        self._text = bytearray()
        self._rows = 0
        self._is_all = True

    def keep(self, lines: bytes, size_bytes: int) -> bool:
        """Whether there are now enough to judge the file early, which is said once. size_bytes: what came so far."""
        if not self._is_all:
            return False
        had_enough = self._rows >= JUDGED_ROWS
        if (had_enough and size_bytes > JUDGED_WHOLE_BYTES) or len(self._text) + len(lines) > _MOST_BYTES:
            self._is_all = False
            return not had_enough
        self._text += lines
        self._rows += rows_in(lines)
        return not had_enough and self._rows >= JUDGED_ROWS

    def refuse_mostly_bad(self, columns: Columns) -> None:
        """Raises InvalidInput where more than half of them are bad: then it is the file that is wrong, not its rows."""
        judged = self._judge(columns, JUDGED_ROWS)
        if judged.bad_rows * 2 > judged.rows:
            raise InvalidInput(
                f"{judged.bad_rows:,} of the first {judged.rows:,} rows cannot be read, more than half; nothing was "
                "stored. Is the delimiter or the column order right?",
                judged.places,
                len(judged.bad),
            )

    def judged(self, columns: Columns, size_bytes: int) -> Judged:
        """The whole file where it is small or has few rows."""
        return self._judge(columns, JUDGED_ROWS if size_bytes > JUDGED_WHOLE_BYTES else self._rows)

    def _judge(self, columns: Columns, most_rows: int) -> Judged:
        text = bytes(self._text)
        ends = line_ends(text)
        row_ends = ends[~are_blank(text, ends)][:most_rows].tolist()
        rows = len(row_ends)
        is_all = self._is_all and rows == self._rows
        text = text[: row_ends[-1] + 1] if rows else b""
        preview = _preview(text, row_ends[:PREVIEW_ROWS], columns.delimiter)
        if not columns.are_matched:
            return Judged(rows, 0, (), preview, is_all)
        block = read_block(text, columns, self._features, self._first_line, 1)
        return Judged(rows, rows - len(block.rows), block.bad, preview, is_all)


def _preview(text: bytes, row_ends: list[int], delimiter: str) -> list[list[str]]:
    lines = (text[text.rfind(b"\n", 0, end) + 1 : end].decode() for end in row_ends)
    return [[cut(cell) for cell in _cells_or_line(line, delimiter)] for line in lines]


def _cells_or_line(line: str, delimiter: str) -> list[str]:
    try:
        return cells_of(line, delimiter)
    except UnclosedQuote:
        return [line]

"""Finds the lines of a text and the blank ones among them: those are no rows, but they count as lines."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

BLOCK_BYTES = 1 << 20
_PIECE_BYTES = 1 << 18
_SPACE, _LINE_END = ord(" "), ord("\n")


def line_count(text: bytes) -> int:
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == _LINE_END))


def line_ends(text: bytes) -> npt.NDArray[np.int32]:
    return np.flatnonzero(np.frombuffer(text, np.uint8) == _LINE_END).astype(np.int32)  # (lines,)


def are_blank(text: bytes, ends: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Of each line whether it is nothing but spaces. text: whole lines, each of them ended."""
    is_blank: npt.NDArray[np.bool_] = np.diff(ends, prepend=np.int32(-1)) == 1
    letters = np.frombuffer(text, np.uint8)
    if (letters[ends - 1] == _SPACE).any():
        starts = np.append(np.int32(0), ends[:-1] + 1)
        is_blank = ~np.logical_or.reduceat((letters != _SPACE) & (letters != _LINE_END), starts)
    return is_blank


def first_text(text: bytes, start: int = 0) -> int:
    """Where the first line from start on begins that is not blank; the end of the text where there is none."""
    for at in range(start, len(text), _PIECE_BYTES):
        piece = text[at : at + _PIECE_BYTES]
        if rest := piece.lstrip(b" \n"):
            return max(start, text.rfind(b"\n", start, at + len(piece) - len(rest)) + 1)
    return len(text)


def rows_in(text: bytes) -> int:
    return rows_and_lines(text)[0]


def rows_and_lines(text: bytes) -> tuple[int, int]:
    rows = lines = 0
    for piece in _cut(text, _PIECE_BYTES):
        ends = line_ends(piece)
        lines += len(ends)
        rows += len(ends) - int(np.count_nonzero(are_blank(piece, ends)))
    return rows, lines


def blocks(text: bytes, size: int = BLOCK_BYTES) -> Iterator[tuple[bytes, int, int]]:
    """Cut a part at line ends into (block, lines, rows), so that a caller can stop in between."""
    for block in _cut(text, size):
        rows, lines = rows_and_lines(block)
        yield block, lines, rows


def ended(text: bytes) -> bytes:
    return text if text.endswith(b"\n") else text + b"\n"


def _cut(text: bytes, size: int) -> Iterator[bytes]:
    start = 0
    while start < len(text):
        end = text.find(b"\n", start + size - 1) + 1 or len(text)
        yield text[start:end] if end < len(text) else ended(text[start:])
        start = end

"""Tells the cells of a block that are written as numbers from all others, a block at a time and without a loop."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bools = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int32]
Bytes = npt.NDArray[np.uint8]

_LONGEST_SMALL = 28
"""So many characters, an exponent below 10 among them, never reach beyond a float32."""
_DIGIT, _EDGE, _SIGN, _POINT, _E, _WRONG, _STRANGE, _SIGN_OF_E, _FIRST_POINT = range(9)
_KINDS = 9
# What may follow what in a number, and whether digits must (1), must not (0) or may (both) stand between them.
_MAY_FOLLOW = {
    *product([_EDGE, _SIGN], [1], [_EDGE, _POINT, _E]),
    *product([_EDGE, _SIGN], [0], [_FIRST_POINT]),
    (_EDGE, 0, _SIGN),
    *product([_POINT], [0, 1], [_EDGE, _E]),
    *product([_FIRST_POINT], [1], [_EDGE, _E]),
    *product([_E, _SIGN_OF_E], [1], [_EDGE]),
    (_E, 0, _SIGN_OF_E),
}
_IS_WRONG = np.array(
    [step not in _MAY_FOLLOW for step in product(range(_KINDS), range(2), range(_KINDS))], dtype=np.bool_
)


class Shapes(NamedTuple):
    """Of each cell: where it ends, whether its line ends there, and what it is."""

    ends: Positions
    is_last: Bools
    is_number: Bools
    is_strange: Bools
    """It holds a quote or a character beyond ASCII: such a cell is never said to be a number here."""
    may_be_large: Bools


def shapes_of(text: Bytes, delimiter: str, decimal: str) -> Shapes:
    """text: whole lines, no white space around a cell. The same grammar as numbers_in_text.PATTERN."""
    kinds = np.frombuffer(text.tobytes().translate(_kinds(delimiter, decimal)), np.uint8)  # (bytes,)
    marks = np.flatnonzero(kinds != _DIGIT).astype(np.int32)  # (marks,) what is no digit
    kind = kinds[marks]
    edges = np.flatnonzero(kind == _EDGE).astype(np.int32)  # (cells,) among the marks
    ends = marks[edges]
    is_number = np.ones(len(edges), np.bool_)
    is_number[_cells_at(edges, np.flatnonzero(_wrong_steps(marks, kind)))] = False
    return Shapes(
        ends=ends,
        is_last=text[ends] == ord("\n"),
        is_number=is_number,
        is_strange=_holding(_STRANGE, kind, edges),
        may_be_large=_may_be_large(text, marks, kind, edges),
    )


def _may_be_large(text: Bytes, marks: Positions, kind: Bytes, edges: Positions) -> Bools:
    """By its length or its exponent. Means nothing of a cell that is no number."""
    ends = marks[edges]
    may_be: Bools = np.diff(ends, prepend=np.int32(-1)) > _LONGEST_SMALL
    at = np.flatnonzero(kind == _E)
    cells = _cells_at(edges, at)
    after = text[marks[at] + 1]
    begins = marks[at] + 1 + (after == ord("+"))
    digits = ends[cells] - begins
    is_small = (after == ord("-")) | (digits <= 1) | ((digits == 2) & (text[begins] == ord("0")))
    may_be[cells[~is_small]] = True
    return may_be


def floats_of(text: Bytes, ends: Positions, chosen: npt.NDArray[np.int64], decimal: str) -> npt.NDArray[np.float32]:
    """The chosen cells, all of them numbers, to the bit as the quick way reads them; infinite where too large."""
    letters = np.delete(text, ends)
    offsets = np.concatenate([np.zeros(1, np.int32), ends - np.arange(len(ends), dtype=np.int32)])
    cells = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(letters)).take(pa.array(chosen))
    if decimal != ".":
        cells = pc.replace_substring(cells, decimal, ".")
    return cast("npt.NDArray[np.float32]", cells.cast(pa.float32()).to_numpy(zero_copy_only=False))


@lru_cache(maxsize=64)
def _kinds(delimiter: str, decimal: str) -> bytes:
    table = bytearray([_WRONG] * 128 + [_STRANGE] * 128)
    marks = {"0123456789": _DIGIT, "+-": _SIGN, "eE": _E, '"': _STRANGE, decimal: _POINT, delimiter + "\n": _EDGE}
    for letters, kind in marks.items():
        for letter in letters:
            table[ord(letter)] = kind
    return bytes(table)


def _wrong_steps(marks: Positions, kind: Bytes) -> Bools:
    """For each mark, whether it may not stand where it stands after the mark before it."""
    has_digits = np.diff(marks, prepend=np.int32(-1)) > 1
    before = np.concatenate([np.array([_EDGE], np.uint8), kind[:-1]])
    refined = kind.copy()
    refined[(kind == _SIGN) & (before == _E) & ~has_digits] = _SIGN_OF_E
    refined[(kind == _POINT) & (before != _POINT) & ~has_digits] = _FIRST_POINT
    before[1:] = refined[:-1]
    before *= 2
    before += has_digits
    before *= _KINDS
    before += refined
    is_wrong: Bools = _IS_WRONG[before]
    return is_wrong


def _holding(wanted: int, kind: Bytes, edges: Positions) -> Bools:
    holding = np.zeros(len(edges), np.bool_)
    holding[_cells_at(edges, np.flatnonzero(kind == wanted))] = True
    return holding


def _cells_at(edges: Positions, marks: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.searchsorted(edges, marks.astype(np.int32))

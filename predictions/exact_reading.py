"""Sorts the lines of a block that cannot be read quickly: good ones, odd ones for a closer look, and refused cells."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from predictions.bad_cells import WHOLE_ROW, Lines, cells_or_fault
from predictions.columns import Columns
from predictions.number_shapes import Bools, Bytes, Shapes, floats_of, shapes_of
from predictions.numbers_in_text import WHITESPACE

Numbers = npt.NDArray[np.int64]
Places = npt.NDArray[np.int32]
_BOM = b"\xef\xbb\xbf"
_QUOTE, _LINE_END = ord('"'), ord("\n")
_ODD_AT_ONCE = 1_000
_PIECE_BYTES = 1 << 17


class Sorted(NamedTuple):
    """good: lines that any CSV reader understands alike. odd: lines to be read one by one. places: refused cells."""

    good: Numbers
    odd: Numbers
    places: Places


class Odd(NamedTuple):
    """Lines read one by one. x: (n, width) float32 of those that are good, lines: their numbers."""

    x: npt.NDArray[np.float32]
    lines: Numbers
    ids: list[str]
    places: Places


def sort_lines(lines: Lines, is_blank: Bools, columns: Columns) -> Sorted:
    """A piece at a time, so small that the processor keeps it at hand."""
    count = len(lines.ends)
    cuts = np.searchsorted(lines.ends, np.arange(0, len(lines.text), _PIECE_BYTES))
    edges = np.unique(np.append(cuts, count)).tolist()
    pieces = [
        _moved(_sort_piece(lines.between(start, end), is_blank[start:end], columns), start)
        for start, end in pairwise(edges)
    ]
    return Sorted(*(np.concatenate(found) for found in zip(*pieces, strict=True)))


def _moved(found: Sorted, lines: int) -> Sorted:
    return Sorted(found.good + lines, found.odd + lines, found.places + np.array([lines, 0], np.int32))


def _sort_piece(lines: Lines, is_blank: Bools, columns: Columns) -> Sorted:
    text, is_odd = _without_wrapping(lines, columns.delimiter)
    shapes = shapes_of(text, columns.delimiter, columns.decimal)
    last = np.flatnonzero(shapes.is_last)  # (lines,) the number of a line's last cell
    counts = np.diff(last, prepend=-1)  # (lines,)
    is_row = ~is_blank & ~is_odd
    is_whole = counts == columns.width_in_file
    whole = np.flatnonzero(is_row & is_whole)
    cells = (last[whole] - columns.width_in_file + 1)[:, None] + np.array(columns.positions)  # (whole, width)
    if shapes.is_strange.any():
        is_odd[whole[shapes.is_strange[cells].any(axis=1)]] = True
        whole, cells = whole[~is_odd[whole]], cells[~is_odd[whole]]
    is_bad = ~shapes.is_number[cells]  # (whole, width)
    is_good = ~is_bad.any(axis=1)
    is_bad |= _too_large(text, shapes, cells, ~is_bad & ~is_good[:, None], columns.decimal)
    at, place = np.nonzero(is_bad)
    places = np.concatenate([places_of(whole[at], place), places_of(np.flatnonzero(is_row & ~is_whole), WHOLE_ROW)])
    return Sorted(whole[is_good], np.flatnonzero(is_odd & ~is_blank), places)


def read_odd(lines: Lines, odd: Numbers, columns: Columns) -> Odd:
    """In the words of the csv module, which is exact and slow."""
    groups = [_read_group(lines, odd[at : at + _ODD_AT_ONCE], columns) for at in range(0, len(odd), _ODD_AT_ONCE)]
    return Odd(
        np.concatenate([group.x for group in groups]),
        np.concatenate([group.lines for group in groups]),
        [each for group in groups for each in group.ids],
        np.concatenate([group.places for group in groups]),
    )


def places_of(lines: Numbers, places: Numbers | int) -> Places:
    return np.column_stack([lines, np.broadcast_to(places, lines.shape)]).astype(np.int32)  # (n, 2)


def _read_group(lines: Lines, odd: Numbers, columns: Columns) -> Odd:
    read = [cells_or_fault(text, columns) for text in lines.texts(odd)]
    is_whole = np.array([fault is None for _, fault in read], dtype=np.bool_)
    rows = [cells for cells, fault in read if fault is None]
    texts = [cells[position].strip(WHITESPACE) for cells in rows for position in columns.positions]
    values = floats(texts, columns.decimal).reshape(len(rows), len(columns.positions))
    whole, is_finite = odd[is_whole], np.isfinite(values)
    at, place = np.nonzero(~is_finite)
    good = np.flatnonzero(is_finite.all(axis=1))
    ids = [] if columns.id_position is None else [rows[at][columns.id_position] for at in good.tolist()]
    places = np.concatenate([places_of(whole[at], place), places_of(odd[~is_whole], WHOLE_ROW)])
    return Odd(values[good], whole[good], ids, places)


def floats(texts: list[str], decimal: str) -> npt.NDArray[np.float32]:
    """NaN where a text is no number."""
    values = np.full(len(texts), np.nan, np.float32)
    if texts:
        text = np.frombuffer(("\n".join(texts) + "\n").encode(), np.uint8)
        shapes = shapes_of(text, "\n", decimal)
        numbers = np.flatnonzero(shapes.is_number)
        values[numbers] = floats_of(text, shapes.ends, numbers, decimal)
    return values


def _too_large(text: Bytes, shapes: Shapes, cells: Numbers, among: Bools, decimal: str) -> Bools:
    """Numbers beyond a float32, which only their value shows."""
    is_too_large = np.zeros(cells.shape, np.bool_)
    if shapes.may_be_large.any():
        at, place = np.nonzero(among & shapes.may_be_large[cells])
        if len(at):
            is_too_large[at, place] = ~np.isfinite(floats_of(text, shapes.ends, cells[at, place], decimal))
    return is_too_large


def _without_wrapping(lines: Lines, delimiter: str) -> tuple[Bytes, Bools]:
    """The text without the quotes and the spaces around cells, and which lines are too odd for that."""
    is_odd = np.zeros(len(lines.ends), np.bool_)
    for mark in (b"\r", _BOM):
        if mark[:1] in lines.text:
            is_odd[_lines_at(lines, [found.start() for found in re.finditer(mark, lines.text)])] = True
    text = np.frombuffer(lines.text, np.uint8)
    if b'"' in lines.text:
        text, has_odd_quotes = _without_quotes(text, lines.ends, delimiter)
        is_odd |= has_odd_quotes
    if b" " in lines.text or (b"\t" in lines.text and delimiter != "\t"):
        is_blank = text == ord(" ") if delimiter == "\t" else (text == ord(" ")) | (text == ord("\t"))
        text = np.delete(text, _around_cells(text, np.flatnonzero(is_blank), delimiter))
    return text, is_odd


def _lines_at(lines: Lines, positions: Numbers | list[int]) -> Numbers:
    return np.searchsorted(lines.ends, np.asarray(positions, np.int32))


def _without_quotes(text: Bytes, line_ends: Places, delimiter: str) -> tuple[Bytes, Bools]:
    """Quotes that stand in twos around a cell are left out, and a delimiter between them is none.

    Also which lines have other quotes as well; what is made of those means nothing.
    """
    quotes = np.flatnonzero(text == _QUOTE)
    before = np.searchsorted(quotes, line_ends)  # (lines,) the quotes up to the end of each line
    in_line = np.diff(before, prepend=0)  # (lines,)
    is_opening = (np.arange(len(quotes)) - np.repeat(before - in_line, in_line)) % 2 == 0
    is_edge = _is_edge(text, delimiter)
    is_fit = np.where(is_opening, is_edge[quotes - 1], is_edge[quotes + 1])
    is_odd = in_line % 2 == 1
    is_odd[np.searchsorted(before, np.flatnonzero(~is_fit), side="right")] = True
    in_pairs = quotes[np.repeat(~is_odd, in_line)]
    edges = np.flatnonzero(is_edge)
    edges_before = np.cumsum(is_edge, dtype=np.int32)[in_pairs]
    text = text.copy()
    text[edges[_between(edges_before[::2], edges_before[1::2])]] = _QUOTE
    return np.delete(text, in_pairs), is_odd


def _around_cells(text: Bytes, blanks: Numbers, delimiter: str) -> Numbers:
    """Of the blanks those in a run that touches the edge of a cell."""
    begins = np.flatnonzero(np.diff(blanks, prepend=-2) > 1)  # (runs,)
    lengths = np.diff(begins, append=len(blanks))
    is_edge = _is_edge(text, delimiter)
    starts = blanks[begins]
    touches = is_edge[starts - 1] | is_edge[starts + lengths]  # before the first byte stands the last: a line end
    return blanks[np.repeat(touches, lengths)]


def _is_edge(text: Bytes, delimiter: str) -> Bools:
    is_edge: Bools = (text == ord(delimiter)) | (text == _LINE_END)
    return is_edge


def _between(begins: Places, ends: Places) -> Places:
    """All numbers from each begin up to its end."""
    lengths = ends - begins
    return np.repeat(ends - np.cumsum(lengths, dtype=np.int32), lengths) + np.arange(lengths.sum(), dtype=np.int32)

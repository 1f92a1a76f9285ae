"""Settles what the compiled reader was not sure of: single cells by the exact parser, whole lines by the csv module."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from predictions.bad_cells import Lines
from predictions.columns import Columns
from predictions.exact_reading import Odd, floats, places_of, read_odd
from predictions.numbers_in_text import WHITESPACE
from predictions.quick_rows import LINE, QuickRows


class Settled(NamedTuple):
    """x: (n, width) float32, the good rows; rows: (n,), their numbers from 0; places: refused cells as (line, feature)."""

    x: npt.NDArray[np.float32]
    rows: npt.NDArray[np.int64]
    ids: list[str] | None
    places: npt.NDArray[np.int32]


def settle(found: QuickRows, lines: Lines, columns: Columns) -> Settled:
    is_line = found.doubts["feature"] == LINE
    cells, odd = found.doubts[~is_line], found.doubts["row"][is_line]
    is_good = np.ones(len(found.x), np.bool_)
    places = _settle_cells(found, cells, lines.text, columns, is_good)
    ids = None if columns.id_position is None else ids_of(found, lines.text)
    if len(odd):
        more = read_odd(lines, found.lines[odd], columns)
        places = np.concatenate([places, more.places])
        _put_in(found, odd, more, ids, is_good)
    kept = np.flatnonzero(is_good)
    return Settled(found.x[kept], kept, ids and [ids[row] for row in kept.tolist()], places[np.lexsort(places.T[::-1])])


def ids_of(found: QuickRows, text: bytes) -> list[str]:
    return [text[begin:end].decode() for begin, end in found.ids.tolist()]


def _settle_cells(
    found: QuickRows, cells: npt.NDArray[np.void], text: bytes, columns: Columns, is_good: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int32]:
    """The places of those that are no numbers; the values of the others go into x."""
    spans = zip(cells["begin"].tolist(), cells["end"].tolist(), strict=True)
    values = floats([text[begin:end].decode().strip(WHITESPACE) for begin, end in spans], columns.decimal)
    rows, features = cells["row"], cells["feature"]
    found.x[rows, features] = values
    bad = ~np.isfinite(values)
    is_good[rows[bad]] = False
    return places_of(found.lines[rows[bad]], features[bad])


def _put_in(
    found: QuickRows, odd: npt.NDArray[np.int64], more: Odd, ids: list[str] | None, is_good: npt.NDArray[np.bool_]
) -> None:
    """Those of the odd lines that are good rows after all."""
    rows = odd[np.searchsorted(found.lines[odd], more.lines)]
    found.x[rows] = more.x
    is_good[odd] = False
    is_good[rows] = True
    if ids is not None:
        for row, one in zip(rows.tolist(), more.ids, strict=True):
            ids[row] = one

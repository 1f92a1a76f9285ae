"""The compiled reader of plain numbers (quick_rows.c): optional, and wherever it answers, exact to the bit.

Without it pyarrow reads, to the same bytes (docs/decisions.md). deploy/compile.py makes it.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from predictions.columns import Columns

SOURCE = Path(__file__).with_suffix(".c")
SKIPPED, ID, LINE = -1, -2, -1
DOUBTS_A_ROW = 2
MOST_DOUBTS = 20_000
NARROW_ROWS = 1_000
"""Of doubts, or of rows with too few cells. Where there are more, the exact reader takes the block, in less memory."""

DOUBT = np.dtype([("row", "<i8"), ("feature", "<i8"), ("begin", "<i8"), ("end", "<i8")])
_Address = ctypes.c_void_p


class _Shape(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("columns", "width", "most_rows", "most_doubts")),
        ("feature_of", _Address),
        *((name, ctypes.c_uint8) for name in ("delimiter", "point")),
    ]


class _Found(ctypes.Structure):
    _fields_ = [
        *((name, _Address) for name in ("x", "line", "id", "doubts")),
        *((name, ctypes.c_int64) for name in ("rows", "lines", "doubt_count")),
    ]


@dataclass(frozen=True)
class QuickRows:
    """x: (n, width) float32; lines: (n,), each row's line from 0; ids: (n, 2), where its id begins and ends.

    doubts: cells, or with feature LINE whole lines, that were left to the exact reader; their values in x mean nothing.
    """

    x: npt.NDArray[np.float32]
    lines: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int64]
    doubts: npt.NDArray[np.void]


def path() -> Path:
    """Where the compiled reader of this very source stands."""
    version = sha256(SOURCE.read_bytes()).hexdigest()[:12]
    return Path(sys.prefix) / "lib" / f"quick-rows-{version}.so"


@cache
def _library() -> ctypes.CDLL | None:
    if not path().exists():
        return None
    library = ctypes.CDLL(str(path()))
    library.read_rows.restype = ctypes.c_bool
    library.read_rows.argtypes = [ctypes.c_char_p, ctypes.c_int64, ctypes.POINTER(_Shape), ctypes.POINTER(_Found)]
    return library


def is_there() -> bool:
    return _library() is not None


def read_rows(data: bytes, columns: Columns) -> QuickRows | None:
    """Every row of whole lines; None where the reader is missing or the lines are not plain enough for it."""
    library = _library()
    if library is None:
        return None
    data = data if data.endswith(b"\n") else data + b"\n"
    most = min(data.count(b"\n"), len(data) // columns.width_in_file + NARROW_ROWS)
    width = len(columns.positions)
    has_ids = columns.id_position is not None
    x = np.empty((most, width), np.float32)
    lines = np.empty(most, np.int64)
    ids = np.zeros((most if has_ids else 0, 2), np.int64)  # a doubtful line may have none
    doubts = np.empty(min(most * DOUBTS_A_ROW, MOST_DOUBTS), DOUBT)
    feature_of = _features_by_column(columns)
    sizes = columns.width_in_file, width, most, len(doubts)
    shape = _Shape(*sizes, feature_of.ctypes.data, ord(columns.delimiter), ord(columns.decimal))
    found = _Found(*(array.ctypes.data for array in (x, lines, ids, doubts)), 0, 0, 0)
    if not library.read_rows(data, len(data), ctypes.byref(shape), ctypes.byref(found)):
        return None
    n = found.rows
    return QuickRows(x[:n], lines[:n], ids[:n], doubts[: found.doubt_count])


@lru_cache(maxsize=64)
def _features_by_column(columns: Columns) -> npt.NDArray[np.int32]:
    places = np.full(columns.width_in_file, SKIPPED, np.int32)
    if columns.id_position is not None:
        places[columns.id_position] = ID
    places[list(columns.positions)] = np.arange(len(columns.positions))
    return places

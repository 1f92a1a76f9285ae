"""Takes a NumPy array of shape (rows, width) as it arrives; its header is read as a literal, nothing is ever unpickled."""

from __future__ import annotations

import ast
import re
import struct
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from predictions.columns import TakesColumns
from predictions.errors import InvalidInput, Unreadable
from predictions.numbers_in_text import cut
from predictions.parts import Plan, Put
from predictions.table_columns import as_rows
from predictions.table_parts import Arrived, TableParts, part_rows, set_aside

MARK = b"\x93NUMPY"
LENGTHS = {1: "<H", 2: "<I", 3: "<I"}
"""How a header's length is written, by the format's version. Source: numpy.lib.format."""
NUMBERS = re.compile(r"[<>=|]?(?:[iu][1248]|f[248])")
LONGEST_HEADER = 10_000
_BY_POSITION = "An array has no names; its columns are taken by position."


@dataclass(frozen=True)
class Header:
    dtype: np.dtype[Any]
    is_column_major: bool
    rows: int
    width: int
    starts_at: int

    @property
    def row_bytes(self) -> int:
        return self.width * self.dtype.itemsize


class NpyIngest:
    """One array: feed it blocks, then close it. Both raise Refused as soon as it shows its fault."""

    def __init__(self, card: TakesColumns, put: Put, max_bytes: int) -> None:
        self._card = card
        self._arrived = Arrived(max_bytes)
        self._parts = TableParts(card, put, max_bytes)
        self._waiting = bytearray()
        self._header: Header | None = None
        self._column_major: IO[bytes] | None = None

    def feed(self, block: bytes) -> None:
        self._arrived.add(block)
        self._waiting += block
        if self._header is None:
            self._begin()
        if self._header is not None:
            self._refuse_longer(self._header)
            self._take(self._header)

    def close(self) -> Plan:
        header = self._header
        if header is None:
            raise Unreadable("The NumPy file ends within its header.")
        given = self._arrived.size_bytes - header.starts_at
        if given < header.rows * header.row_bytes:
            raise Unreadable(
                f"The NumPy file is cut off: {given:,} of {header.rows * header.row_bytes:,} bytes of the array came."
            )
        if self._column_major is not None:
            with self._column_major as file:
                self._take_columns(header, file)
        return self._parts.plan(self._arrived.size_bytes, [_BY_POSITION])

    def _begin(self) -> None:
        self._header = header = read_header(self._waiting, self._card)
        if header is None:
            return
        self._parts.refuse_more_than_fits(header.rows)
        del self._waiting[: header.starts_at]
        if header.is_column_major:
            self._column_major = set_aside(self)

    def _refuse_longer(self, header: Header) -> None:
        ends_at = header.starts_at + header.rows * header.row_bytes
        if self._arrived.size_bytes > ends_at:
            raise Unreadable(f"The NumPy file is damaged: the array ends at byte {ends_at:,}, and more bytes follow.")

    def _take(self, header: Header) -> None:
        if self._column_major is not None:
            self._column_major.write(self._waiting)
            self._waiting.clear()
            return
        whole = len(self._waiting) - len(self._waiting) % header.row_bytes
        if whole:
            data = bytes(memoryview(self._waiting)[:whole])
            del self._waiting[:whole]
            self._add(np.frombuffer(data, header.dtype).reshape(-1, header.width))

    def _take_columns(self, header: Header, file: IO[bytes]) -> None:
        """Rows can be told only once the last column has come."""
        file.flush()
        step = part_rows(header.width)
        if not header.rows:
            return
        array = np.memmap(file, header.dtype, "r", 0, (header.rows, header.width), "F")
        for start in range(0, header.rows, step):
            self._add(array[start : start + step])

    def _add(self, values: npt.NDArray[Any]) -> None:
        self._parts.add(as_rows(values), self._arrived.size_bytes)


def read_header(start: bytes | bytearray, card: TakesColumns) -> Header | None:
    """None while it has not come whole. Raises Refused where the array is none the model can take."""
    if len(start) < 12:
        return None
    version = start[len(MARK)]
    if not start.startswith(MARK) or version not in LENGTHS:
        raise Unreadable("The NumPy file is damaged: it does not begin as one of the versions 1 to 3.")
    (length,) = struct.unpack_from(LENGTHS[version], start, 8)
    if length > LONGEST_HEADER:
        raise Unreadable(f"The NumPy file's header has {length:,} bytes; at most {LONGEST_HEADER:,} are read.")
    text_at = 8 + struct.calcsize(LENGTHS[version])
    if len(start) < text_at + length:
        return None
    return _header_of(_literal(bytes(start[text_at : text_at + length])), text_at + length, card)


def _literal(text: bytes) -> dict[str, Any]:
    try:
        literal = ast.literal_eval(text.decode().strip())
        if not isinstance(literal, dict) or not {"descr", "fortran_order", "shape"} <= literal.keys():
            raise ValueError
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise Unreadable("The NumPy file is damaged: its header is not a description of an array.") from None
    return literal


def _header_of(literal: dict[str, Any], starts_at: int, card: TakesColumns) -> Header:
    dtype, shape = _dtype(literal["descr"]), literal["shape"]
    if not isinstance(shape, tuple) or not all(type(size) is int and size >= 0 for size in shape):
        raise Unreadable("The NumPy file is damaged: its header names no shape.")
    if len(shape) != 2:
        raise InvalidInput(f"The array has the shape {cut(str(shape))}; (rows, {card.width}) is taken.")
    if shape[1] != card.width:
        raise InvalidInput(f"The array has {shape[1]:,} columns; {card.ref} takes {card.width}.")
    return Header(dtype, bool(literal["fortran_order"]), shape[0], shape[1], starts_at)


def _dtype(described: object) -> np.dtype[Any]:
    if not isinstance(described, str) or not NUMBERS.fullmatch(described):
        raise InvalidInput(
            f"The array's values are {cut(str(described))}; integers of 8 to 64 bits and floats of 16, 32 and 64 bits "
            "are taken. Objects are never unpickled."
        )
    return np.dtype(described)

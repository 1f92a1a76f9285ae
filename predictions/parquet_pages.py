"""Looks at the headers of a Parquet file's pages, so that what they unpack to is known before one is: the footer may lie.

Source: parquet.thrift (PageHeader) and Thrift's compact protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

import pyarrow.parquet as pq

from predictions.errors import InvalidInput, Unreadable

MOST_BYTES = 1 << 30
MOST_PAGES = 500_000
_HEADER_BYTES = 1 << 12
_LONGEST_HEADER_BYTES = 1 << 20
_UNPACKED_SIZE, _SIZE = 2, 3
_BOOLEANS, _BYTE, _INTEGERS, _DOUBLE, _BINARY, _STRUCT = (1, 2), 3, (4, 5, 6), 7, 8, 12
_DEEPEST = 8
_DAMAGED = "The Parquet file is damaged: the header of a page cannot be read."


def refuse_large_pages(file: IO[bytes], metadata: pq.FileMetaData, columns: list[str]) -> None:
    """One page of each column is unpacked at a time, all columns side by side. Raises Refused."""
    largest = dict.fromkeys(columns, 0)
    pages = 0
    for name, start, end in _chunks(metadata, columns):
        for unpacked in _pages(file, start, end):
            largest[name] = max(largest[name], unpacked)
            pages += 1
            if sum(largest.values()) > MOST_BYTES or pages > MOST_PAGES:
                raise InvalidInput(
                    f"The Parquet file's pages unpack to more than {MOST_BYTES:,} bytes side by side, or are more than "
                    f"{MOST_PAGES:,}. Write it with pages of about a megabyte, as pyarrow does by itself."
                )


def _chunks(metadata: pq.FileMetaData, columns: list[str]) -> Iterator[tuple[str, int, int]]:
    """The column and where its pages lie, for each chunk of the columns."""
    wanted = set(columns)
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for chunk in map(group.column, range(group.num_columns)):
            name = _top(chunk.path_in_schema, wanted)
            if name is not None:
                start = min(chunk.data_page_offset, chunk.dictionary_page_offset or chunk.data_page_offset)
                yield name, start, start + chunk.total_compressed_size


def _top(path: str, wanted: set[str]) -> str | None:
    """The column that a path belongs to: of lists it is `column.list.element`, and a name may hold points itself."""
    if path in wanted:
        return path
    return next((name for name in wanted if path.startswith(f"{name}.")), None)


def _pages(file: IO[bytes], start: int, end: int) -> Iterator[int]:
    """Bytes that each page unpacks to."""
    at = start
    while at < end:
        header_bytes, size, unpacked = _header(file, at)
        yield unpacked
        at += header_bytes + size


def _header(file: IO[bytes], at: int) -> tuple[int, int, int]:
    for most in (_HEADER_BYTES, _LONGEST_HEADER_BYTES):
        try:
            file.seek(at)
            end, found = _struct(file.read(most), 0, _DEEPEST)
            if min(found[_SIZE], found[_UNPACKED_SIZE]) < 0:
                break
            return end, found[_SIZE], found[_UNPACKED_SIZE]
        except IndexError:  # it goes on
            continue
        except (KeyError, ValueError, OSError):
            break
    raise Unreadable(_DAMAGED)


def _struct(data: bytes, at: int, deepest: int) -> tuple[int, dict[int, int]]:
    """Where it ends, and its integers by field. Raises IndexError where data is too short, ValueError where it is none."""
    found: dict[int, int] = {}
    field = 0
    while kind := data[at]:
        at += 1
        step, kind = kind >> 4, kind & 15
        if step:
            field += step
        else:
            field, at = _integer(data, at)
        if kind in _INTEGERS:
            found[field], at = _integer(data, at)
        else:
            at = _after(data, at, kind, deepest)
    return at + 1, found


def _after(data: bytes, at: int, kind: int, deepest: int) -> int:
    """Where a value that is not wanted ends."""
    if kind in _BOOLEANS:
        return at
    if kind == _BYTE:
        return at + 1
    if kind == _DOUBLE:
        return at + 8
    if kind == _BINARY:
        size, at = _natural(data, at)
        return at + size
    if kind == _STRUCT and deepest:
        return _struct(data, at, deepest - 1)[0]
    raise ValueError


def _integer(data: bytes, at: int) -> tuple[int, int]:
    number, at = _natural(data, at)
    return (number >> 1) ^ -(number & 1), at


def _natural(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
    raise ValueError

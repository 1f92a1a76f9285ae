"""Looks at the headers of a Parquet file's pages, so that what they unpack to is known before one is: the footer may lie.

pyarrow's own view of the footer is not asked: a damaged statistic in it ends the process.
Source: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO, Any

from predictions.errors import InvalidInput, Unreadable
from predictions.thrift_compact import Reader

MOST_BYTES = 1 << 30
MOST_PAGES = 500_000
_HEADER_BYTES = 1 << 12
_LONGEST_HEADER_BYTES = 1 << 20
_GROUPS, _COLUMNS, _META = 4, 1, 3  # FileMetaData, RowGroup, ColumnChunk
_PATH, _VALUES, _PACKED_SIZE, _DATA_AT, _DICTIONARY_AT = 3, 5, 7, 9, 11  # ColumnMetaData
_UNPACKED_SIZE, _SIZE = 2, 3  # PageHeader
_DAMAGED_FOOTER = "The Parquet file is damaged: its footer cannot be read."


def refuse_large_pages(file: IO[bytes], footer: bytes, columns: Sequence[str]) -> None:
    """One page of each column is unpacked at a time, all columns side by side. Raises Refused."""
    largest = dict.fromkeys((name.encode() for name in columns), 0)
    side_by_side = pages = 0
    for column, start, size in _chunks(footer, set(largest)):
        for unpacked in _pages(file, start, start + size):
            pages += 1
            side_by_side += max(0, unpacked - largest[column])
            largest[column] = max(largest[column], unpacked)
            if side_by_side > MOST_BYTES or pages > MOST_PAGES:
                raise InvalidInput(
                    f"The Parquet file's pages unpack to more than {MOST_BYTES:,} bytes side by side, or are more than "
                    f"{MOST_PAGES:,}. Write it with pages of about a megabyte, as pyarrow does by itself."
                )


def _chunks(footer: bytes, wanted: set[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """The column, and where the pages lie that pyarrow would read, for each chunk."""
    for column, values, size, data_at, dictionary_at in map(_described, _chunks_in(footer)):
        if column in wanted and values > 0:
            yield column, min(data_at, dictionary_at) if dictionary_at > 0 else data_at, size


def _chunks_in(footer: bytes) -> list[Any]:
    try:
        return [chunk[_META] for group in Reader(footer).struct()[_GROUPS] for chunk in group[_COLUMNS]]
    except (IndexError, KeyError, ValueError, TypeError):
        raise Unreadable(_DAMAGED_FOOTER) from None


def _described(chunk: Any) -> tuple[bytes, int, int, int, int]:
    """The column, its values, their packed size, and where its data and its dictionary lie."""
    try:
        numbers = chunk[_VALUES], chunk[_PACKED_SIZE], chunk[_DATA_AT], chunk.get(_DICTIONARY_AT, 0)
        column = chunk[_PATH][0]
    except (AttributeError, IndexError, KeyError, TypeError):
        raise Unreadable(_DAMAGED_FOOTER) from None
    if not isinstance(column, bytes) or not all(isinstance(number, int) for number in numbers):
        raise Unreadable(_DAMAGED_FOOTER)
    return column, *numbers


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
            reader = Reader(file.read(most))
            found = reader.struct()
            size, unpacked = found[_SIZE], found[_UNPACKED_SIZE]
            if size < 0 or unpacked < 0:
                raise ValueError
            return reader.at, size, unpacked
        except IndexError:  # it goes on
            continue
        except (KeyError, ValueError, TypeError, OSError):
            break
    raise Unreadable("The Parquet file is damaged: the header of a page cannot be read.")

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


def refuse_large_pages(file: IO[bytes], footer: bytes, columns: Sequence[str]) -> None:
    """One page of each column is unpacked at a time, all columns side by side. Raises Refused."""
    largest = dict.fromkeys((name.encode() for name in columns), 0)
    side_by_side = pages = 0
    for column, start, end in _chunks(_chunks_named_in(footer), set(largest)):
        for unpacked in _pages(file, start, end):
            pages += 1
            side_by_side += max(0, unpacked - largest[column])
            largest[column] = max(largest[column], unpacked)
            if side_by_side > MOST_BYTES or pages > MOST_PAGES:
                raise InvalidInput(
                    f"The Parquet file's pages unpack to more than {MOST_BYTES:,} bytes side by side, or are more than "
                    f"{MOST_PAGES:,}. Write it with pages of about a megabyte, as pyarrow does by itself."
                )


def _chunks_named_in(data: bytes) -> list[Any]:
    """Of each chunk (column, values, packed size, where its data are, where its dictionary is)."""
    try:
        groups = Reader(data).struct()[_GROUPS]
        metas = [chunk[_META] for group in groups for chunk in group[_COLUMNS]]
        return [
            (meta[_PATH][0], meta[_VALUES], meta[_PACKED_SIZE], meta[_DATA_AT], meta.get(_DICTIONARY_AT))
            for meta in metas
        ]
    except (IndexError, KeyError, ValueError, TypeError):
        raise Unreadable("The Parquet file is damaged: its footer cannot be read.") from None


def _chunks(metas: list[Any], wanted: set[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """The column, and where the pages lie that pyarrow would read, for each chunk."""
    for column, values, size, data_at, dictionary_at in metas:
        if column in wanted and values > 0:
            start = min(data_at, dictionary_at) if dictionary_at and dictionary_at > 0 else data_at
            yield column, start, start + size


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
            if size >= 0 and unpacked >= 0:
                return reader.at, size, unpacked
            break
        except IndexError:  # it goes on
            continue
        except (KeyError, ValueError, TypeError, OSError):
            break
    raise Unreadable("The Parquet file is damaged: the header of a page cannot be read.")

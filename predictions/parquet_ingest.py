"""Takes a Parquet file: its table of contents stands at the end, so it is set aside as it arrives and read when it is whole."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from predictions.arrow_reading import checked, read
from predictions.columns import MOST_COLUMNS, TakesColumns
from predictions.errors import InvalidInput, Unreadable
from predictions.parquet_pages import refuse_large_pages
from predictions.parts import Plan, Put
from predictions.table_columns import TableColumns, judge_schema
from predictions.table_parts import Arrived, TableParts, add_batch, part_rows, set_aside

MARK = b"PAR1"
ENCRYPTED_MARK = b"PARE"
MOST_FOOTER_BYTES = 1 << 22
_PIECE_BYTES = 1 << 16
_SMALLEST = 12
_FILE = "Parquet file"


class ParquetIngest:
    """One file: feed it blocks, then close it. Both raise Refused."""

    def __init__(
        self, card: TakesColumns, put: Put, max_bytes: int, *, mapping: Mapping[str, str] | None = None
    ) -> None:
        self._card = card
        self._mapping = mapping
        self._arrived = Arrived(max_bytes)
        self._parts = TableParts(card, put, max_bytes)
        self._file = set_aside(self)

    def feed(self, block: bytes) -> None:
        self._arrived.add(block)
        self._file.write(block)

    def close(self) -> Plan:
        with self._file:
            footer = self._footer()
            with self._opened() as file:
                return self._plan(file, footer)

    def _footer(self) -> bytes:
        """Raises Refused by the marks at the file's ends, and before a footer of any size is read."""
        if self._arrived.size_bytes < _SMALLEST:
            raise Unreadable("The Parquet file is cut off.")
        self._file.seek(-8, os.SEEK_END)
        footer_bytes, mark = struct.unpack("<I4s", self._file.read(8))
        if mark == ENCRYPTED_MARK:
            raise InvalidInput("The Parquet file is encrypted; write it without encryption.")
        if mark != MARK:
            raise Unreadable("The Parquet file is cut off: it does not end with its mark.")
        if footer_bytes > MOST_FOOTER_BYTES:
            raise InvalidInput(
                f"The Parquet file's footer has {footer_bytes:,} bytes; at most {MOST_FOOTER_BYTES:,} are read."
            )
        self._file.seek(max(0, self._arrived.size_bytes - 8 - footer_bytes))
        return self._file.read(footer_bytes)

    def _opened(self, **more: Any) -> pq.ParquetFile:
        """buffer_size: a column is read piece by piece, not a row group at once."""
        limits = {"thrift_string_size_limit": MOST_FOOTER_BYTES, "thrift_container_size_limit": 1_000_000}
        return read(
            _FILE, lambda: pq.ParquetFile(self._file, pre_buffer=False, buffer_size=_PIECE_BYTES, **limits, **more)
        )

    def _plan(self, file: pq.ParquetFile, footer: bytes) -> Plan:
        _refuse_many_columns(file.metadata)
        self._parts.refuse_more_than_fits(file.metadata.num_rows)
        schema = read(_FILE, lambda: file.schema_arrow)
        columns = judge_schema(schema, self._card, self._mapping)
        names = [schema.names[at] for at in columns.read]
        refuse_large_pages(self._file, footer, names)
        # Ids may repeat one long text a million times in few bytes: they stay in their dictionary until they are checked.
        ids = [schema.names[at] for at in [columns.id_position] if at is not None and _is_text(schema.field(at).type)]
        with self._opened(metadata=file.metadata, read_dictionary=ids) as again:
            self._take(again, columns, schema, names if len(names) < len(schema) else None)
        return self._parts.plan(self._arrived.size_bytes, list(columns.notes))

    def _take(self, file: pq.ParquetFile, columns: TableColumns, schema: pa.Schema, names: list[str] | None) -> None:
        """names: None where all columns are read."""
        for batch in _batches(file, names, part_rows(self._card.width)):
            read_as = columns if names is None else _as_read(columns, schema, batch.schema)
            add_batch(self._parts, batch, read_as, self._arrived.size_bytes)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _refuse_many_columns(metadata: pq.FileMetaData) -> None:
    if metadata.num_columns > MOST_COLUMNS:
        raise InvalidInput(f"The table has {metadata.num_columns:,} columns; at most {MOST_COLUMNS:,} are read.")


def _batches(file: pq.ParquetFile, names: list[str] | None, rows: int) -> Iterator[pa.RecordBatch]:
    batches = file.iter_batches(rows, columns=names, use_threads=False)
    while (batch := read(_FILE, lambda: next(batches, None))) is not None:
        yield read(_FILE, partial(checked, batch))


def _as_read(columns: TableColumns, file: pa.Schema, batch: pa.Schema) -> TableColumns:
    """Where the columns stand among those that were read."""

    def place(at: int) -> int:
        return int(batch.get_field_index(file.names[at]))

    return replace(
        columns,
        positions=tuple(map(place, columns.positions)),
        listed=None if columns.listed is None else place(columns.listed),
        id_position=None if columns.id_position is None else place(columns.id_position),
    )

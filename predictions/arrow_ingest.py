"""Takes an Arrow IPC stream or file as it arrives: each record batch is checked, made float32 rows and kept in parts."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from predictions.arrow_messages import BATCH, DICTIONARY, SCHEMA, Message, Messages
from predictions.arrow_reading import checked, read
from predictions.columns import TakesColumns
from predictions.errors import InvalidInput, Unreadable
from predictions.numbers_in_text import cut
from predictions.parts import Plan, Put
from predictions.table_columns import TableColumns, judge_schema
from predictions.table_parts import Arrived, TableParts, add_batch

_SLICE_BYTES = 1 << 20
_STREAM = "Arrow stream"
_DICTIONARY = "The column '{}' is dictionary-encoded; send plain values, with pyarrow column.dictionary_decode()."


class ArrowIngest:
    """One stream: feed it blocks, then close it. Both raise Refused as soon as it shows its fault."""

    def __init__(
        self, card: TakesColumns, put: Put, max_bytes: int, *, mapping: Mapping[str, str] | None = None
    ) -> None:
        self._card = card
        self._mapping = mapping
        self._arrived = Arrived(max_bytes)
        self._messages = Messages()
        self._parts = TableParts(card, put, max_bytes)
        self._schema: pa.Schema | None = None
        self._columns: TableColumns | None = None

    def feed(self, block: bytes) -> None:
        self._arrived.add(block)
        for start in range(0, len(block), _SLICE_BYTES):
            for message in self._messages.feed(block[start : start + _SLICE_BYTES]):
                self._take(message)

    def close(self) -> Plan:
        if self._messages.is_cut_off:
            raise Unreadable("The Arrow stream is cut off: its last message is not whole.")
        if self._columns is None:
            raise InvalidInput("The file is empty; at least one row is needed.")
        return self._parts.plan(self._arrived.size_bytes, list(self._columns.notes))

    def _take(self, message: Message) -> None:
        if message.kind == SCHEMA and self._schema is None:
            self._take_schema(message.data)
        elif message.kind == BATCH and self._schema is not None and self._columns is not None:
            batch = self._batch(message.data)
            add_batch(self._parts, batch, self._columns, self._arrived.size_bytes)
        elif message.kind == DICTIONARY:
            raise InvalidInput(_DICTIONARY.format("of dictionaries"))
        else:
            raise Unreadable("The Arrow stream is damaged: it must be one schema and then record batches.")

    def _batch(self, data: bytes) -> pa.RecordBatch:
        return read(_STREAM, lambda: checked(pa.ipc.read_record_batch(pa.py_buffer(data), self._schema)))

    def _take_schema(self, data: bytes) -> None:
        self._schema = read(_STREAM, lambda: pa.ipc.read_schema(pa.py_buffer(data)))
        self._columns = judge_schema(self._schema, self._card, self._mapping)
        for name, kind in zip(self._columns.names, self._schema.types, strict=True):
            if pa.types.is_dictionary(kind):
                raise InvalidInput(_DICTIONARY.format(cut(name)))

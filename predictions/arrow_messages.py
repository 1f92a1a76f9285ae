"""Finds the messages of an Arrow IPC stream in bytes as they arrive, and what each will take, before it is read.

Source: https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc, Message.fbs.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import cast

from predictions.errors import InvalidInput, Unreadable

FILE_MARK = b"ARROW1\0\0"
CONTINUATION = b"\xff\xff\xff\xff"
SCHEMA, DICTIONARY, BATCH = 1, 2, 3
MOST_METADATA_BYTES = 1 << 23
MOST_BODY_BYTES = 1 << 26
_DAMAGED = "The Arrow stream is damaged: {}."
_HEADER_TYPE, _HEADER, _BODY_LENGTH = 1, 2, 3
_BUFFERS, _COMPRESSION = 2, 3


@dataclass(frozen=True)
class Message:
    """data: as pyarrow reads it, with the bytes before its metadata."""

    kind: int
    data: bytes


class Messages:
    """Feed it blocks of any size; each answer is the messages that are whole by now. Raises Refused."""

    def __init__(self) -> None:
        self.has_ended = False
        self._waiting = bytearray()
        self._is_file: bool | None = None

    @property
    def is_cut_off(self) -> bool:
        """It is no error to leave out the mark of the end, but the last message must be whole."""
        return bool(self._waiting)

    def feed(self, block: bytes) -> list[Message]:
        self._waiting += block
        self._skip_mark()
        whole = []
        while not self.has_ended and (message := self._next()) is not None:
            whole.append(message)
        if self.has_ended and self._waiting:
            self._take_rest()
        return whole

    def _skip_mark(self) -> None:
        if self._is_file is None and len(self._waiting) >= len(FILE_MARK):
            self._is_file = self._waiting.startswith(FILE_MARK)
            if self._is_file:
                del self._waiting[: len(FILE_MARK)]

    def _take_rest(self) -> None:
        """A file is a stream between its mark and a table of contents that nobody needs who reads it whole."""
        if not self._is_file:
            raise Unreadable(_DAMAGED.format("bytes follow its end"))
        self._waiting.clear()

    def _next(self) -> Message | None:
        if self._is_file is None or len(self._waiting) < 8:
            return None
        mark, size = struct.unpack_from("<4si", self._waiting)
        if mark != CONTINUATION:
            raise Unreadable(_DAMAGED.format("a message does not begin with its mark"))
        if size == 0:
            del self._waiting[:8]
            self.has_ended = True
            return None
        if not 0 < size <= MOST_METADATA_BYTES:
            raise InvalidInput(
                f"The header of an Arrow message has {size:,} bytes; at most {MOST_METADATA_BYTES:,} are read."
            )
        if len(self._waiting) < 8 + size:
            return None
        return self._whole(8 + size)

    def _whole(self, body_at: int) -> Message | None:
        metadata = bytes(self._waiting[8:body_at])
        try:
            header = _Table.root(metadata)
            kind, body_bytes = header.number(_HEADER_TYPE, "<B"), header.number(_BODY_LENGTH, "<q")
        except struct.error:
            raise Unreadable(_DAMAGED.format("the header of a message cannot be read")) from None
        _refuse_large(body_bytes)
        if len(self._waiting) < body_at + body_bytes:
            return None
        data = bytes(self._waiting[: body_at + body_bytes])
        del self._waiting[: body_at + body_bytes]
        if kind == BATCH:
            _refuse_large(_unpacked_bytes(header, memoryview(data)[body_at:]))
        return Message(kind, data)


def _refuse_large(body_bytes: int) -> None:
    """pyarrow's writer makes one batch of a whole table unless it is told otherwise."""
    if not 0 <= body_bytes <= MOST_BODY_BYTES:
        raise InvalidInput(
            f"A record batch of the stream has {body_bytes:,} bytes; at most {MOST_BODY_BYTES:,} are taken. "
            "Write smaller ones, with pyarrow writer.write_table(table, max_chunksize=16384)."
        )


def _unpacked_bytes(header: _Table, body: memoryview) -> int:
    """What the body takes once it is decompressed: each compressed buffer begins with its size, or -1 where it is as it stands."""
    try:
        batch = header.table(_HEADER)
        if not batch.has(_COMPRESSION):
            return len(body)
        buffers = batch.buffers(_BUFFERS)
        sizes = [_read("<q", body, at) if length else 0 for at, length in buffers]
    except struct.error:
        raise Unreadable(_DAMAGED.format("the header of a record batch cannot be read")) from None
    return sum(size if size >= 0 else length for size, (_, length) in zip(sizes, buffers, strict=True))


class _Table:
    """A table of a flatbuffer. Whatever lies outside raises struct.error. Source: https://flatbuffers.dev/internals/."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at
        self._fields = at - self._read("<i", at)
        self._size = self._read("<H", self._fields)

    @classmethod
    def root(cls, data: bytes) -> _Table:
        return cls(data, cast(int, struct.unpack_from("<I", data)[0]))

    def has(self, field: int) -> bool:
        return self._place(field) != 0

    def number(self, field: int, form: str) -> int:
        place = self._place(field)
        return self._read(form, self._at + place) if place else 0

    def table(self, field: int) -> _Table:
        return _Table(self._data, self._target(field))

    def buffers(self, field: int) -> list[tuple[int, int]]:
        """A vector of Buffer structs: (offset, length)."""
        at = self._target(field)
        count = self._read("<I", at)
        if count * 16 > len(self._data):
            raise struct.error
        return [(self._read("<q", at + 4 + 16 * n), self._read("<q", at + 12 + 16 * n)) for n in range(count)]

    def _target(self, field: int) -> int:
        place = self._place(field)
        if not place:
            raise struct.error
        return self._at + place + self._read("<I", self._at + place)

    def _place(self, field: int) -> int:
        entry = 4 + 2 * field
        return self._read("<H", self._fields + entry) if entry < self._size else 0

    def _read(self, form: str, at: int) -> int:
        return _read(form, self._data, at)


def _read(form: str, data: bytes | memoryview, at: int) -> int:
    if at < 0:  # struct would count from the end
        raise struct.error
    return cast(int, struct.unpack_from(form, data, at)[0])

"""Reads structures written by Thrift's compact protocol, without knowing their names.

Source: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md.
"""

from __future__ import annotations

from typing import Any

_TRUE, _FALSE, _BYTE, _INTEGERS, _DOUBLE, _BINARY, _LISTS, _STRUCT = 1, 2, 3, (4, 5, 6), 7, 8, (9, 10), 12
_DEEPEST = 16
_MOST_BITS = 70


class Reader:
    """Reads from the start of data. Raises IndexError where it is too short, ValueError where it is not as it should be."""

    def __init__(self, data: bytes) -> None:
        self.at = 0
        self._data = data

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """The values by the numbers of their fields."""
        if depth > _DEEPEST:
            raise ValueError
        found: dict[int, Any] = {}
        field = 0
        while head := self._byte():
            step = head >> 4
            field = field + step if step else self._integer()
            found[field] = self._value(head & 15, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if kind in _INTEGERS:
            return self._integer()
        if kind == _BINARY:
            return self._bytes(self._natural())
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in _LISTS:
            return self._list(depth)
        if kind in (_TRUE, _FALSE):
            return kind == _TRUE
        if kind in (_BYTE, _DOUBLE):
            return self._bytes(1 if kind == _BYTE else 8)
        raise ValueError

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        size, kind = head >> 4, head & 15
        if size == 15:
            size = self._natural()
        if kind in (_TRUE, _FALSE):  # in a list each takes a byte
            kind = _BYTE
        return [self._value(kind, depth + 1) for _ in range(size)]

    def _bytes(self, size: int) -> bytes:
        end = self.at + size
        if end > len(self._data):
            raise IndexError
        found, self.at = self._data[self.at : end], end
        return found

    def _byte(self) -> int:
        byte = self._data[self.at]
        self.at += 1
        return byte

    def _integer(self) -> int:
        number = self._natural()
        return (number >> 1) ^ -(number & 1)

    def _natural(self) -> int:
        number = 0
        for shift in range(0, _MOST_BITS, 7):
            byte = self._byte()
            number |= (byte & 127) << shift
            if byte < 128:
                return number
        raise ValueError

"""What a Range header asks of a file (RFC 9110, section 14): one range of bytes; several, or what is no range, ask for all."""

from __future__ import annotations

import re
from typing import NamedTuple

_ASKED = re.compile(r"bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*", re.IGNORECASE)
# As many digits say more than any file has, however many follow.
_DIGITS = 19


class ByteRange(NamedTuple):
    """The bytes from start up to, and without, end."""

    start: int
    end: int


class NotSatisfiable(Exception):
    """The range lies past the file's end."""


def asked_of(header: str | None, size_bytes: int) -> ByteRange | None:
    """None where the whole file is to be given. Raises NotSatisfiable."""
    found = _ASKED.fullmatch(header or "")
    if found is None or found.group(1, 2) == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        return _checked(ByteRange(max(0, size_bytes - _number(last)), size_bytes))
    if last and _number(last) < _number(first):
        return None
    end = min(_number(last) + 1, size_bytes) if last else size_bytes
    return _checked(ByteRange(_number(first), end))


def _checked(asked: ByteRange) -> ByteRange:
    if asked.start >= asked.end:
        raise NotSatisfiable
    return asked


def _number(digits: str) -> int:
    return int(digits.lstrip("0")[:_DIGITS] or "0")

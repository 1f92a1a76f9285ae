"""Lets pyarrow read a stranger's bytes: what it objects to becomes a sentence, and nothing is believed unchecked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pyarrow as pa

from predictions.errors import Unreadable

T = TypeVar("T")
_LONGEST_REASON = 200


def read(what: str, act: Callable[[], T]) -> T:
    """what: the file's kind. Raises Unreadable."""
    try:
        return act()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)[:_LONGEST_REASON]
        raise Unreadable(f"The {what} is damaged or not understood: {reason}") from None


def checked(batch: pa.RecordBatch) -> pa.RecordBatch:
    """With offsets, lengths and text that are what they say. Raises pyarrow's error."""
    batch.validate(full=True)
    return batch

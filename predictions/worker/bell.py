"""Wakes an event loop from any thread: a pipe of which one end is read by the loop."""

from __future__ import annotations

import os
from contextlib import suppress


class Bell:
    """Rung any number of times, it is heard once."""

    def __init__(self) -> None:
        self._heard_at, self._rung_at = os.pipe()
        os.set_blocking(self._heard_at, False)
        os.set_blocking(self._rung_at, False)

    def fileno(self) -> int:
        return self._heard_at

    def ring(self) -> None:
        with suppress(BlockingIOError):  # it is full: it will be heard
            os.write(self._rung_at, b"!")

    def silence(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._heard_at, 65536)

"""The lock at which the writers of one SQLite file queue: `flock` on a file beside it, one descriptor a connection."""

from __future__ import annotations

import fcntl
import os
import time
import weakref

# Past this one writes without a turn, and SQLite decides: whoever was frozen with the turn holds up nobody for long.
PATIENCE_S = 1.0
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.0001, 0.001


class Turn:
    def __init__(self, path: str) -> None:
        self._path = path
        self._open()
        _turns.add(self)

    def _open(self) -> None:
        self.is_mine = False
        # Enough for flock, so that a file which another user made will do.
        self._fd: int | None = os.open(self._path, os.O_RDONLY | os.O_CREAT, 0o644)

    def take(self) -> None:
        """Wait for the turn, and go on without where it does not come."""
        begun = time.monotonic()
        self._try()
        # A wait in flock itself could not end in time. A tenth of what was waited keeps the delay small and the polls few.
        while not self.is_mine and (waited_s := time.monotonic() - begun) < PATIENCE_S:
            time.sleep(min(max(waited_s / 10, SHORTEST_PAUSE_S), LONGEST_PAUSE_S))
            self._try()

    def _try(self) -> None:
        assert self._fd is not None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.is_mine = True
        except BlockingIOError:
            self.is_mine = False

    def give_back(self) -> None:
        assert self._fd is not None
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        self.is_mine = False

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
        self._fd, self.is_mine = None, False

    __del__ = close

    def start_anew(self) -> None:
        """In a forked child: the descriptor it got shares the parent's lock, which it could end, or keep past a kill."""
        if self._fd is not None:
            self.close()
            self._open()


_turns: weakref.WeakSet[Turn] = weakref.WeakSet()


def _in_child() -> None:
    for turn in list(_turns):
        turn.start_anew()


os.register_at_fork(after_in_child=_in_child)

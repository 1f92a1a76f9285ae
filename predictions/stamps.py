"""Whether what was looked at on disk is still as it was: a few stats instead of listing and reading again."""

from __future__ import annotations

import os
import time

# A file system's clock ticks: what changed twice within a tick looks like what changed once.
SETTLED_NS = 1_000_000_000
Stamp = tuple[int, int, int]
"""mtime_ns, inode, size_bytes."""


def stamp_of(path: str) -> Stamp | None:
    """None where there is nothing."""
    try:
        at = os.stat(path)  # noqa: PTH116  a Path costs more than the stat
    except (FileNotFoundError, NotADirectoryError):
        return None
    return at.st_mtime_ns, at.st_ino, at.st_size


class Looked:
    """The paths that were looked at to find something, each noted before it was."""

    __slots__ = ("_stamps",)

    def __init__(self) -> None:
        self._stamps: dict[str, Stamp | None] = {}

    def at(self, path: str) -> Stamp | None:
        stamp = self._stamps[path] = stamp_of(path)
        return stamp

    @property
    def is_settled(self) -> bool:
        """Whatever changes from now on will be seen."""
        newest_ns = max((stamp[0] for stamp in self._stamps.values() if stamp), default=0)
        return newest_ns < time.time_ns() - SETTLED_NS

    def still_holds(self) -> bool:
        for path, stamp in self._stamps.items():  # noqa: SIM110  a generator costs as much as a stat
            if stamp_of(path) != stamp:
                return False
        return True

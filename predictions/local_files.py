"""The storage of job files in a folder of this machine: a file is there whole or not at all, also after a power failure."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.core.files.storage import FileSystemStorage

UNFINISHED = ".unfinished"


class LocalFiles(FileSystemStorage):
    """Django's, with writes that become visible at once and reads that begin anywhere."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_overwrite=True, **options)

    def _save(self, name: str, content: Any) -> str:
        """A web or worker that is killed leaves an unfinished file, which goes when its key is deleted."""
        unfinished = Path(self.path(name + UNFINISHED))
        try:
            super()._save(name + UNFINISHED, content)  # type: ignore[misc]  # the stubs leave it out
            _to_disk(unfinished)
            unfinished.replace(self.path(name))
            _to_disk(unfinished.parent)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        return name

    @contextmanager
    def opened(self, key: str, start: int, end: int | None) -> Iterator[IO[bytes]]:
        """The reader counts where to end."""
        with Path(self.path(key)).open("rb") as file:
            if start:
                file.seek(start)
            yield file

    def discard(self, keys: Sequence[str]) -> None:
        for key in keys:
            for name in (key, key + UNFINISHED):
                Path(self.path(name)).unlink(missing_ok=True)

    def keys_in(self, folder: str) -> list[str]:
        path = Path(self.path(folder))
        return sorted(f"{folder}/{file.name}" for file in path.iterdir()) if path.exists() else []


def _to_disk(path: Path) -> None:
    """Wait until the disk has a file's bytes, or a folder's names: the database will soon say that they are there."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)

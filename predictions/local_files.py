"""The storage of job files in a folder of this machine: a file is there whole or not at all, also after a power failure."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from django.core.files.storage import FileSystemStorage

UNFINISHED = ".unfinished"


class LocalWriting:
    """Under a name of its own until it is closed. Who is killed leaves it unfinished; it goes when its key is deleted."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._unfinished = path.with_name(path.name + UNFINISHED)
        self._file = self._unfinished.open("wb")

    def write(self, content: bytes) -> None:
        self._file.write(content)

    def close(self) -> None:
        """The disk has the bytes before the name is seen, and then the name: the database will soon say that they are there."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._unfinished.replace(self._path)
        _names_to_disk(self._path.parent)

    def abandon(self) -> None:
        with suppress(OSError):  # a full disk refuses what is still to be written
            self._file.close()
        self._unfinished.unlink(missing_ok=True)


class LocalFiles(FileSystemStorage):
    """Django's, with writes that become visible at once and reads that begin anywhere."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_overwrite=True, **options)

    def _save(self, name: str, content: Any) -> str:
        file = self.writing(name)
        try:
            for block in content.chunks():
                file.write(block)
            file.close()
        except BaseException:
            file.abandon()
            raise
        return name

    def writing(self, name: str) -> LocalWriting:
        return LocalWriting(Path(self.path(name)))

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


def _names_to_disk(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)

"""Writes the parts of a file into storage as their lines come: on a thread of its own, while the next lines are judged."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress

from predictions import files
from predictions.files import Writing
from predictions.models import Upload
from predictions.unavailable import unavailable_for

HELD_BYTES = 1 << 20
_threads = ThreadPoolExecutor(2, thread_name_prefix="parts")


class KeptParts:
    """The parts of an upload, each whole or not at all. Where the storage is full, the sender is told so."""

    def __init__(self, upload: Upload, part_format: str) -> None:
        self.stored_bytes = 0
        self._upload, self._format = upload, part_format
        self._number = -1
        self._file: Writing | None = None

    def __call__(self, number: int, content: bytes) -> None:
        with _told():
            if self._file is None or number != self._number:
                self.finish()
                self._file = files.writing(files.input_key(self._upload.pk, number, self._format))
                self._number = number
            self._file.write(content)
        self.stored_bytes += len(content)

    def finish(self) -> None:
        """The last part is whole."""
        with _told():
            if self._file is not None:
                self._file.close()
                self._file = None

    def abandon(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.abandon()


class KeptBehind:
    """Parts that are kept a little later, in order. What goes wrong is told by one of the next calls."""

    def __init__(self, parts: KeptParts) -> None:
        self._parts = parts
        self._held: list[tuple[int, bytes]] = []
        self._held_bytes = 0
        self._writing: Future[None] | None = None

    def __call__(self, number: int, content: bytes) -> None:
        self._held.append((number, content))
        self._held_bytes += len(content)
        if self._writing is None or self._writing.done() or self._held_bytes >= HELD_BYTES:
            self._write_on()

    def finish(self) -> None:
        """All of them are whole."""
        self._write_on()
        self._wait()
        self._parts.finish()

    def abandon(self) -> None:
        """Nothing is written any more."""
        with suppress(Exception):
            self._wait()
        self._parts.abandon()

    def _write_on(self) -> None:
        self._wait()
        held, self._held, self._held_bytes = self._held, [], 0
        self._writing = _threads.submit(self._write, held)

    def _wait(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _write(self, held: list[tuple[int, bytes]]) -> None:
        for number, content in held:
            self._parts(number, content)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if unavailable := unavailable_for(error):
            raise unavailable from error
        raise

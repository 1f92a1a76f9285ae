"""Where a job's files lie in storage, and all that is done to them; alone asks Django for the storage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import IO, Any, Protocol, cast
from uuid import UUID

from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage

BLOCK_BYTES = 256 * 1024
ENDINGS = {"csv": "csv", "table": "arrow"}


class Source(Protocol):
    """The bytes of a file from where it was opened on."""

    def read(self, size: int = -1, /) -> bytes: ...


class Writing(Protocol):
    """A file that is not seen before it is closed."""

    def write(self, content: bytes) -> None: ...
    def close(self) -> None: ...
    def abandon(self) -> None: ...


class Store(Protocol):
    """What our two storages can do (local_files.py, s3_files.py). A storage that is away or full raises OSError."""

    def save(self, name: str, content: File[Any]) -> str: ...
    def writing(self, name: str) -> Writing: ...
    def opened(self, key: str, start: int, end: int | None) -> AbstractContextManager[Source]: ...
    def discard(self, keys: Sequence[str]) -> None: ...
    def keys_in(self, folder: str) -> list[str]: ...


def input_key(upload_id: UUID, number: int, written_as: str = "csv") -> str:
    """written_as: the format that the upload's plan names."""
    return f"{_inputs(upload_id)}/{number:06d}.{ENDINGS[written_as]}"


def result_key(job_id: UUID, number: int, attempt: int) -> str:
    """The attempt is in the name, so that a late writer never touches what another has finished."""
    return f"results/{job_id}/{number:06d}.{attempt}.csv"


def rejected_key(job_id: UUID, number: int, attempt: int) -> str:
    return f"rejected/{job_id}/{number:06d}.{attempt}.csv"


def export_key(job_id: UUID, attempt: int) -> str:
    return f"exports/{job_id}/{attempt}.parquet"


def write(key: str, content: bytes) -> None:
    """The whole file or nothing is seen under the key; what an earlier try left there is replaced."""
    _store().save(key, ContentFile(content))


def writing(key: str) -> Writing:
    """The same for what comes bit by bit."""
    return _store().writing(key)


def write_from(key: str, content: IO[bytes]) -> None:
    """The same for what is too large for memory: from the file's beginning to its end."""
    content.seek(0)  # an earlier try may have stopped anywhere
    _store().save(key, File(content))


def read(key: str) -> bytes:
    """Raises FileNotFoundError."""
    with _store().opened(key, 0, None) as file:
        return file.read()


def read_blocks(key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """The bytes from start up to, not with, end; the others are not fetched. Raises FileNotFoundError."""
    at = start
    if end is not None and end <= start:
        return
    with _store().opened(key, start, end) as file:
        while block := file.read(BLOCK_BYTES if end is None else min(BLOCK_BYTES, end - at)):
            at += len(block)
            yield block


def delete(keys: Sequence[str]) -> None:
    """Delete those that exist."""
    if keys:
        _store().discard(keys)


def list_inputs(upload_id: UUID) -> list[str]:
    """What lies in storage of an upload that broke off before its plan was known."""
    return _store().keys_in(_inputs(upload_id))


def _inputs(upload_id: UUID) -> str:
    return f"uploads/{upload_id}"


def _store() -> Store:
    return cast(Store, default_storage)

"""Where a job's files lie in storage; alone touches Django's storage API."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

BLOCK_BYTES = 256 * 1024


def input_key(upload_id: UUID, number: int) -> str:
    return f"uploads/{upload_id}/{number:06d}.csv"


def result_key(job_id: UUID, number: int, attempt: int) -> str:
    """The attempt is in the name, so that a late writer never touches what another has finished."""
    return f"results/{job_id}/{number:06d}.{attempt}.csv"


def rejected_key(job_id: UUID, number: int, attempt: int) -> str:
    return f"rejected/{job_id}/{number:06d}.{attempt}.csv"


def write(key: str, content: bytes) -> None:
    """Write once; what an earlier try left under the key is replaced, and a write that fails leaves nothing."""
    default_storage.delete(key)
    try:
        default_storage.save(key, ContentFile(content))
    except BaseException:
        default_storage.delete(key)  # a full disk keeps half of a file
        raise


def read(key: str) -> bytes:
    with default_storage.open(key, "rb") as file:
        return bytes(file.read())


def read_blocks(key: str) -> Iterator[bytes]:
    with default_storage.open(key, "rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def delete(keys: list[str]) -> int:
    """Delete those that exist; returns the bytes freed."""
    freed = 0
    for key in keys:
        if default_storage.exists(key):
            freed += default_storage.size(key)
            default_storage.delete(key)
    return freed


def list_inputs(upload_id: UUID) -> list[str]:
    """What lies in storage of an upload that broke off before its plan was known."""
    folder = f"uploads/{upload_id}"
    if not default_storage.exists(folder):
        return []
    return [f"{folder}/{name}" for name in default_storage.listdir(folder)[1]]

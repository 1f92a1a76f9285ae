"""The storage of job files in an S3 bucket; alone knows botocore, whose errors become OSError like a disk's."""

from __future__ import annotations

import errno
import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.core.files.base import File
from storages.backends.s3 import S3Storage

from predictions.files import Source

log = logging.getLogger(__name__)
ATTEMPTS = 3
DELETED_AT_ONCE = 1_000
"""S3's own limit. Source: API reference, DeleteObjects."""
GONE = {"NoSuchKey", "404"}
BEYOND_THE_END = "InvalidRange"


class S3Writing:
    """In memory until it is closed: an object is sent whole."""

    def __init__(self, storage: S3Files, name: str) -> None:
        self._storage, self._name, self._content = storage, name, io.BytesIO()

    def write(self, content: bytes) -> None:
        self._content.write(content)

    def close(self) -> None:
        self._content.seek(0)
        self._storage.save(self._name, File(self._content))

    def abandon(self) -> None:
        self._content.close()


class S3Files(S3Storage):
    """django-storages', with one request for each act: no look before a write, ranges, many deletes in one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(client_config=_config(bool(options.get("endpoint_url"))), **options)

    def _save(self, name: str, content: Any) -> str:
        with _as_os_errors(name):
            self._client.put_object(
                Bucket=self.bucket_name, Key=self._key(name), Body=content.file
            )  # never whole in memory
        return name

    def writing(self, name: str) -> S3Writing:
        return S3Writing(self, name)

    @contextmanager
    def opened(self, key: str, start: int, end: int | None) -> Iterator[Source]:
        with _as_os_errors(key):
            body = self._body(key, start, end)
            try:
                yield body
            finally:
                body.close()

    def discard(self, keys: Sequence[str]) -> None:
        for at in range(0, len(keys), DELETED_AT_ONCE):
            objects = [{"Key": self._key(key)} for key in keys[at : at + DELETED_AT_ONCE]]
            with _as_os_errors(keys[at]):
                answer = self._client.delete_objects(
                    Bucket=self.bucket_name, Delete={"Objects": objects, "Quiet": True}
                )
            for error in answer.get("Errors", []):
                raise _away(error["Key"], f"{error['Code']}: {error['Message']}")

    def keys_in(self, folder: str) -> list[str]:
        prefix = self._key(folder) + "/"
        with _as_os_errors(folder):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket_name, Prefix=prefix)
            found = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return [f"{folder}/{key.removeprefix(prefix)}" for key in found]

    @cached_property
    def _client(self) -> Any:
        """One for all threads: a client may be shared, and each would take 0.1 s to make."""
        return self._create_session().client("s3", endpoint_url=self.endpoint_url, config=self.client_config)

    def _key(self, name: str) -> str:
        return str(self._normalize_name(name))

    def _body(self, key: str, start: int, end: int | None) -> Any:
        asked = {"Range": f"bytes={start}-{'' if end is None else end - 1}"} if start or end is not None else {}
        try:
            return self._client.get_object(Bucket=self.bucket_name, Key=self._key(key), **asked)["Body"]
        except ClientError as error:
            if _code(error) == BEYOND_THE_END:
                return io.BytesIO()
            raise


def _config(is_own_endpoint: bool) -> Config:
    """Stores other than AWS's know buckets by path, and not all of them know the newer checksums."""
    return Config(
        s3={"addressing_style": "path" if is_own_endpoint else "auto"},
        connect_timeout=5,
        read_timeout=20,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=32,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


@contextmanager
def _as_os_errors(key: str) -> Iterator[None]:
    """A file that is gone is FileNotFoundError; a store that is away, refuses or breaks off is an input/output error."""
    try:
        yield
    except ClientError as error:
        if _code(error) in GONE:
            raise FileNotFoundError(errno.ENOENT, "There is no such file in the bucket", key) from error
        raise _away(key, str(error)) from error
    except BotoCoreError as error:
        raise _away(key, str(error)) from error


def _away(key: str, reason: str) -> OSError:
    log.warning("S3: %s: %s", key, reason)
    return OSError(errno.EIO, f"S3: {reason}", key)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))

"""A real S3 server of this machine, on a free port, and the settings that keep job files in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

KEYS = {"AWS_ACCESS_KEY_ID": "of-a-test", "AWS_SECRET_ACCESS_KEY": "of-a-test", "AWS_DEFAULT_REGION": "us-east-1"}
BUCKET = "predictions"


@contextmanager
def s3_server() -> Iterator[str]:
    """Its address; a bucket is there, and credentials stand in the environment."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        client(address).create_bucket(Bucket=BUCKET)
        yield address
    finally:
        server.stop()


@contextmanager
def kept_in_bucket(patch: pytest.MonkeyPatch) -> Iterator[str]:
    """For processes that are started meanwhile."""
    for name, value in KEYS.items():
        patch.setenv(name, value)
    with s3_server() as address:
        patch.setenv("FILES_S3_BUCKET", BUCKET)
        patch.setenv("FILES_S3_PREFIX", "live")
        patch.setenv("FILES_S3_ENDPOINT", address)
        yield address


def client(address: str) -> Any:
    return boto3.client("s3", endpoint_url=address)


def storage_at(address: str) -> dict[str, Any]:
    options = {"bucket_name": BUCKET, "location": "live", "endpoint_url": address}
    return {"BACKEND": "predictions.s3_files.S3Files", "OPTIONS": options}

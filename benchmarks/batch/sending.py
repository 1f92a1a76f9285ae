"""A client that costs next to nothing: a file goes out by sendfile, a result comes in and is hashed."""

from __future__ import annotations

import hashlib
import json
import socket
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

from benchmarks.product import Product

RECEIVE_BYTES = 1 << 20
LIMIT_S = 600.0


def upload(served: Product, file: Path, on_bad_row: str = "reject", content_type: str = "text/csv") -> str:
    """The id of the accepted job."""
    path = f"/api/v1/batch-predict?on_bad_row={on_bad_row}"
    head = _head(served, "POST", path, [f"Content-Type: {content_type}", f"Content-Length: {file.stat().st_size}"])
    with socket.create_connection(("127.0.0.1", served.port), LIMIT_S) as connection, file.open("rb") as content:
        connection.sendall(head)
        connection.sendfile(content)
        status, body = _answer(connection)
    if status != 202:
        raise SystemExit(f"The upload was answered with {status}: {body[:500]!r}")
    return str(json.loads(body)["id"])


def ended(served: Product, job_id: str) -> dict[str, Any]:
    """The job once it has ended."""
    while True:
        job = _get(served, f"/api/v1/jobs/{job_id}?wait=60")
        if job["finished"]:
            return job


def download(served: Product, job_id: str) -> str:
    """The sha256 of the result CSV."""
    with socket.create_connection(("127.0.0.1", served.port), LIMIT_S) as connection:
        connection.sendall(_head(served, "GET", f"/api/v1/jobs/{job_id}/result", []))
        with HTTPResponse(connection) as response:
            response.begin()
            digest, left = hashlib.sha256(), response.getheader("Content-Length")
            while block := response.read(RECEIVE_BYTES):
                digest.update(block)
            if response.status != 200 or left is None:
                raise SystemExit(f"The result was answered with {response.status}.")
    return digest.hexdigest()


def _get(served: Product, path: str) -> dict[str, Any]:
    with socket.create_connection(("127.0.0.1", served.port), LIMIT_S) as connection:
        connection.sendall(_head(served, "GET", path, []))
        found: dict[str, Any] = json.loads(_answer(connection)[1])
    return found


def _answer(connection: socket.socket) -> tuple[int, bytes]:
    with HTTPResponse(connection) as response:
        response.begin()
        return response.status, response.read()


def _head(served: Product, method: str, path: str, more: list[str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {served.key}", *more]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode()

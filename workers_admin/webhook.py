"""Tells of an incident by a signed POST, as the Standard Webhooks describe it.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

import orjson
from django.conf import settings

from workers_admin import telling
from workers_admin.models import Notice

TIMEOUT_S = 5.0
DEADLINE_S = 10.0


def whom() -> str:
    """The host alone: the path may be a secret."""
    return urlsplit(settings.ALERT_WEBHOOK_URL).hostname or ""


def send(notice: Notice) -> None:
    """Raises OSError unless it was answered by 2xx. A redirect is followed nowhere: what is signed is for this address."""
    message_id, content = telling.notice_id(notice), orjson.dumps(telling.body(notice))
    timestamp = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "inference-dashboard",
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": signature(message_id, timestamp, content),
    }
    status = _post(settings.ALERT_WEBHOOK_URL, headers, content)
    if not 200 <= status < 300:
        raise OSError(f"{whom()} answered {status}.")


def signature(message_id: str, timestamp: str, content: bytes) -> str:
    signed = b".".join([message_id.encode(), timestamp.encode(), content])
    digest = hmac.new(settings.ALERT_WEBHOOK_SECRET, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _post(url: str, headers: dict[str, str], content: bytes) -> int:
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    try:
        with _deadline(connection):
            connection.request("POST", path, content, headers)
            return connection.getresponse().status
    except HTTPException as error:
        raise OSError(f"{whom()} gave no answer: {str(error) or type(error).__name__}.") from error
    finally:
        connection.close()


@contextmanager
def _deadline(connection: HTTPConnection) -> Iterator[None]:
    """A time-out counts from byte to byte; who sends one now and then must not hold us for ever."""

    def cut() -> None:
        with suppress(OSError, AttributeError):
            connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(DEADLINE_S, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()

"""Puts one message on the channel layer, from any thread, without its event loop: that would cost a thread and five times the time.

What the layer's `group_send` publishes is published here over one connection. Source: channels_redis/pubsub.py.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Any

import redis
from channels.layers import get_channel_layer
from channels_redis.utils import decode_hosts
from django.conf import settings
from redis.backoff import NoBackoff
from redis.connection import ConnectionInterface
from redis.retry import Retry

log = logging.getLogger(__name__)
ANSWERS_WITHIN_S = 0.5
SILENT_S = 2.0
"""After Redis did not answer, nothing is said for so long: a hint must never hold up who gives it."""


class Wire:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: ConnectionInterface | None = None
        self._silent_until = 0.0

    def send(self, group: str, message: dict[str, Any]) -> None:
        """Raises nothing: a hint that is lost costs a page its poll, never the work."""
        if time.monotonic() < self._silent_until:
            return
        payload = get_channel_layer().serialize(message)
        with self._lock:
            try:
                self._publish_twice(channel_of(group), payload)
            except Exception as error:
                self._silent_until = time.monotonic() + SILENT_S
                log.warning("A change could not be announced: %s", error or type(error).__name__)

    def _publish_twice(self, channel: str, payload: bytes) -> None:
        """The first try after a restart of Redis meets the connection to the one before."""
        try:
            self._publish(channel, payload)
        except redis.TimeoutError:
            raise
        except redis.ConnectionError:
            self._publish(channel, payload)

    def _publish(self, channel: str, payload: bytes) -> None:
        connection = self._connection = self._connection or _connect()
        try:
            connection.send_command("PUBLISH", channel, payload)
            connection.read_response()
        except BaseException:
            connection.disconnect()
            self._connection = None
            raise


def channel_of(group: str) -> str:
    """Where the layer publishes what is sent to a group."""
    return f"{_config().get('prefix', 'asgi')}__group__{group}"


def host() -> dict[str, Any]:
    """The one Redis of the layer, as redis-py takes it."""
    (only,) = decode_hosts(_config()["hosts"])
    return dict(only)


def _config() -> dict[str, Any]:
    config: Any = settings.CHANNEL_LAYERS["default"]["CONFIG"]
    return dict(config)


def _connect() -> ConnectionInterface:
    options = {**host(), "socket_timeout": ANSWERS_WITHIN_S, "socket_connect_timeout": ANSWERS_WITHIN_S, "protocol": 2}
    options |= {"retry": Retry(NoBackoff(), 0)}
    pool = redis.ConnectionPool.from_url(options.pop("address"), **options)
    connection: ConnectionInterface = pool.make_connection()
    return connection


wire = Wire()


def _forget_parent() -> None:
    """A forked child must not speak over its parent's connection, and the lock may have been held."""
    wire.__init__()  # type: ignore[misc]


os.register_at_fork(after_in_child=_forget_parent)

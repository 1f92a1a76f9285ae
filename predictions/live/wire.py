"""Puts one message on the channel layer, from any thread, without its event loop: that would cost a thread and five times the time.

What the layer's `group_send` publishes is published here over one connection. Source: channels_redis/pubsub.py.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from functools import partial
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
    """What is sent is not waited for: its answer is read before the next is sent. Where none came, it is sent once more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: ConnectionInterface | None = None
        self._unanswered: tuple[str, bytes] | None = None
        self._silent_until = 0.0

    def send(self, group: str, message: dict[str, Any]) -> None:
        """Raises nothing: a hint that is lost costs a page its poll, never the work."""
        if time.monotonic() < self._silent_until:
            return
        said = channel_of(group), get_channel_layer().serialize(message)
        self._try(partial(self._publish, said))

    def settle(self) -> None:
        """Make sure that what was sent last has arrived."""
        if self._unanswered:
            self._try(self._read_or_repeat)

    def _try(self, act: Callable[[], None]) -> None:
        with self._lock:
            try:
                act()
            except Exception as error:
                self._hang_up()
                self._silent_until = time.monotonic() + SILENT_S
                log.warning("A change could not be announced: %s", error or type(error).__name__)

    def _publish(self, said: tuple[str, bytes]) -> None:
        self._read_or_repeat()
        try:
            self._write(said)
        except redis.ConnectionError:  # it broke since
            self._hang_up()
            self._write(said)

    def _read_or_repeat(self) -> None:
        """The connection of before a restart of Redis is noticed by the answer that does not come."""
        try:
            self._read_answer()
        except redis.ConnectionError:
            again = self._unanswered
            self._hang_up()
            if again:
                self._write(again)
                self._read_answer()

    def _write(self, said: tuple[str, bytes]) -> None:
        self._connection = self._connection or _connect()
        self._connection.send_command("PUBLISH", *said)
        self._unanswered = said

    def _read_answer(self) -> None:
        if self._connection and self._unanswered:
            self._connection.read_response()
        self._unanswered = None

    def _hang_up(self) -> None:
        broken, self._connection, self._unanswered = self._connection, None, None
        if broken:
            broken.disconnect()


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

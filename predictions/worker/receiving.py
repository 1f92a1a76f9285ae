"""Receives what waits, up to the free prefetch, at one wake-up: kombu's Redis transport for a worker's consumer alone.

Kombu takes one message a BRPOP and acknowledges each in a round trip of its own. Written against kombu 5.7.0, which is pinned;
tests/predictions/worker/test_receiving.py holds both to the same behaviour.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from queue import Empty
from time import time
from typing import Any

from kombu.transport import redis, virtual
from kombu.utils.encoding import bytes_to_str

from predictions.worker.taking import TAKE, entry_of, message_of

log = logging.getLogger(__name__)
JSON = ("application/json", "utf-8")
UNREADABLE = "unreadable"
UNREADABLE_KEPT = 1_000


class QoS(redis.QoS):
    """Knows what the script has registered, and acknowledges once a turn of the event loop."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._registered: set[str] = set()
        self._acknowledged: list[str] = []

    def registered(self, message: Any, delivery_tag: str) -> None:
        """Counted as delivered from now on: where handing over fails midway, closing gives all of them back."""
        self._registered.add(delivery_tag)
        virtual.QoS.append(self, message, delivery_tag)

    def append(self, message: Any, delivery_tag: str) -> None:
        if delivery_tag in self._registered:
            self._registered.discard(delivery_tag)
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        transport = self.channel.connection
        if transport is None or transport.loop is None:
            super().ack(delivery_tag)
            return
        if not self._acknowledged:
            transport.tick_soon()
        self._acknowledged.append(delivery_tag)
        virtual.QoS.ack(self, delivery_tag)

    def flush(self) -> None:
        """What could not be told to Redis stays here for the next attempt. Raises redis.RedisError."""
        if tags := list(self._acknowledged):
            with self.pipe_or_acquire() as pipe:
                pipe.zrem(self.unacked_index_key, *tags).hdel(self.unacked_key, *tags).execute()
            del self._acknowledged[: len(tags)]

    def restore_unacked(self, client: Any = None) -> None:
        self.flush()
        super().restore_unacked(client)

    def restore_unacked_once(self, stderr: Any = None) -> None:
        self.flush()
        super().restore_unacked_once(stderr)


class Message(virtual.Message):
    def _decode(self) -> Any:
        """As kombu decodes JSON, by `message_of`."""
        if self.content_type in (self.accept or ()) and (self.content_type, self.content_encoding) == JSON:
            return message_of(self.body.encode() if isinstance(self.body, str) else self.body)
        return super()._decode()


class Channel(redis.Channel):
    Message = Message
    QoS = QoS
    receive_at_once = 64
    from_transport_options = (*redis.Channel.from_transport_options, "receive_at_once")
    _is_acknowledged = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._bands_of: dict[tuple[str, ...], list[tuple[str, str]]] = {}

    def basic_consume(self, queue: str, no_ack: bool, *args: Any, **kwargs: Any) -> Any:
        """One consumer that acknowledges nothing, and this channel registers nothing: as kombu's."""
        self._is_acknowledged = self._is_acknowledged and not no_ack
        return super().basic_consume(queue, no_ack, *args, **kwargs)

    def _brpop_read(self, **options: Any) -> bool:
        """A reader callback of the hub: everything that was taken is handed over before it returns."""
        key, raw = self._popped(**options)
        queue = bytes_to_str(key).rsplit(self.sep, 1)[0]
        self._queue_cycle.rotate(queue)
        try:
            message = message_of(raw)
            tag, entry = entry_of(message, raw)
        except (ValueError, TypeError, KeyError):
            self._set_aside(raw)
            return True
        if self._is_acknowledged:
            self._hand_over([(queue, tag, message), *self._take(tag, entry)])
            self.connection.after_delivery()
        else:
            self.connection._deliver(message, queue)
        return True

    def _popped(self, **options: Any) -> tuple[bytes, bytes]:
        """Raises Empty. Source: kombu.transport.redis.Channel._brpop_read."""
        try:
            popped = self.client.parse_response(self.client.connection, "BRPOP", **options)
        except self.connection_errors:
            self.client.connection.disconnect()
            raise
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        if not popped:
            raise Empty
        return popped  # type: ignore[no-any-return]

    def _take(self, tag: str, entry: bytes) -> list[tuple[str, str, Any]]:
        """Register one message and pop and register as many as there is room for. Returns (queue, tag, message).

        Until here the one lives in this process alone, as it does with kombu: a kill -9 between its BRPOP and this round trip loses
        it, and the steward sends it again (facts 3). What the script pops is in a list or in `unacked` at every moment.
        """
        bands = self._bands()
        keys = [self.unacked_index_key, *(key for _, key in bands)]
        found = self._take_script(
            # The client prefixes the first key of a script only. Source: kombu.transport.redis.
            keys=[self.unacked_key, *(self.global_keyprefix + key for key in keys)],
            args=[time(), self._room(), tag, entry],
        )
        return [
            (bands[place][0], tag, message)
            for place, flat in found
            for tag, message in self._read(flat[::2], flat[1::2])
        ]

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """Kombu makes a new client each time, for 58 µs."""
        yield client or self._kept_client

    @cached_property
    def _kept_client(self) -> Any:
        return self._create_client()

    @cached_property
    def _take_script(self) -> Any:
        return self._kept_client.register_script(TAKE)

    def _room(self) -> int:
        """How many more than the one. A channel that closes takes no more."""
        free = self.qos.can_consume_max_estimate()
        at_once = self.receive_at_once if free is None else min(free, self.receive_at_once)
        return 0 if self._closing else max(at_once - 1, 0)

    def _bands(self) -> list[tuple[str, str]]:
        """(queue, key) in the order in which BRPOP looks. Source: kombu.transport.redis.Channel._brpop_start."""
        queues = tuple(self._queue_cycle.consume(len(self.active_queues)))
        if queues not in self._bands_of:
            self._bands_of[queues] = [
                (queue, self._q_for_pri(queue, step)) for step in self.priority_steps for queue in queues
            ]
        return self._bands_of[queues]

    def _read(self, tags: list[bytes], messages: list[bytes]) -> list[tuple[str, Any]]:
        """Lua reads a little more as JSON than Python does."""
        read = []
        for tag, raw in zip(map(bytes_to_str, tags), messages, strict=True):
            try:
                read.append((tag, message_of(raw)))
            except ValueError:
                self._set_aside(raw, tag)
        return read

    def _set_aside(self, raw: bytes, *tags: str) -> None:
        """A stranger's message would end the worker that kombu hands it to, and then the next."""
        log.error(
            "A message of %d bytes is none of Celery's; it now stands in the list %r in Redis", len(raw), UNREADABLE
        )
        with self.conn_or_acquire() as client, client.pipeline() as pipe:
            pipe.lpush(UNREADABLE, raw)
            pipe.ltrim(self.global_keyprefix + UNREADABLE, 0, UNREADABLE_KEPT - 1)
            for tag in tags:
                self.qos._remove_from_indices(tag, pipe)
            pipe.execute()

    def _hand_over(self, taken: list[tuple[str, str, Any]]) -> None:
        for _, tag, message in taken:
            self.qos.registered(message, tag)
        for queue, tag, message in taken:
            if queue in self.connection._callbacks:
                self.connection._deliver(message, queue)
            else:  # its consumer was cancelled meanwhile
                self.qos.reject(tag, requeue=True)


class Transport(redis.Transport):
    Channel = Channel
    loop: Any = None
    after_delivery: Callable[[], None] = staticmethod(lambda: None)
    """Called when all that was taken at a wake-up has been handed over."""

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """From now on acknowledgements wait for the loop's turn. A client has no loop: there each goes at once (facts 63)."""
        super().register_with_event_loop(connection, loop)
        self.loop = loop
        loop.on_tick.add(self.flush)

    def flush(self) -> None:
        for channel in list(self.channels):
            channel.qos.flush()

    def tick_soon(self) -> None:
        """The loop ticks before each poll. Where this turn's tick is over, the poll must not wait for an event (facts 58)."""
        if self.loop._waker:
            self.loop._waker.wake()

    def close_connection(self, connection: Any) -> None:
        if self.loop is not None:
            self.loop.on_tick.discard(self.flush)
        super().close_connection(connection)

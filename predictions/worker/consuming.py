"""Celery's consumer, which follows the pace of our pool, and gives a connection back where Redis is too full to serve it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from celery.worker.consumer import Consumer as CelerysConsumer
from django.conf import settings

from predictions.worker.pool import ModelPool

CLOSE_S = 0.1
EVENTS_AT_ONCE = 1_000


class Consumer(CelerysConsumer):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if isinstance(self.pool, ModelPool):
            self.pool.serve(self)

    def follow(self, prefetch: int) -> None:
        """Have so many messages in hand from the next look for messages on, also after a new connection."""
        self.initial_prefetch_count = prefetch
        if self.qos:
            self.qos.value = prefetch

    def update_strategies(self) -> None:
        """A turn's events go out in one message; Celery sends them by 24, which was a quarter of a turn's time."""
        super().update_strategies()
        if self.event_dispatcher:
            self.event_dispatcher.buffer_limit = EVENTS_AT_ONCE

    def connection_for_read(self, heartbeat: Any = None) -> Any:
        """Our own transport, for this connection alone: what it gathers is flushed by the event loop (facts 63)."""
        connection = self.app.connection_for_read(heartbeat=heartbeat)
        if self.hub and settings.RECEIVE == "many" and connection.transport_cls in {"redis", "rediss"}:
            connection.transport_cls = "predictions.worker.receiving:Transport"
        return self.ensure_connected(connection)

    def connect(self) -> Any:
        """Celery leaves it open and tries again at once: 12 a second, until the process has no file descriptors left.

        Source: celery.worker.consumer.Consumer.connect.
        """
        connection = self.connection_for_read(heartbeat=self.amqheartbeat)
        try:
            if self.hub:
                connection.transport.register_with_event_loop(connection.connection, self.hub)
        except Exception:
            with suppress(Exception):  # it is broken already
                connection.collect(CLOSE_S)
            raise
        return connection

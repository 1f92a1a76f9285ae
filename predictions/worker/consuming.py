"""Celery's consumer, which gives a connection back where Redis is too full to serve it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from celery.worker.consumer import Consumer as CelerysConsumer

CLOSE_S = 0.1


class Consumer(CelerysConsumer):
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

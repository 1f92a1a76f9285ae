"""Celery's consumer, which follows the pace of our pool, and gives a connection back where Redis is too full to serve it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from celery.worker.consumer import Consumer as CelerysConsumer
from django.conf import settings

from predictions.vitals import vitals
from predictions.worker.pool import ModelPool
from predictions.worker.receiving import Transport
from predictions.worker.serving import PauseWatch

CLOSE_S = 0.1
EVENTS_AT_ONCE = 1_000
EVENTS_WITHIN_S = 0.1
TURNS_TOLD_S = 1.0


class Consumer(CelerysConsumer):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if isinstance(self.pool, ModelPool):
            self.pool.serve(self)
        self._pause_watch = PauseWatch(self)

    def start(self) -> None:
        """The pool has forked, if it does."""
        self._pause_watch.start()
        super().start()

    def follow(self, prefetch: int) -> None:
        """Have so many messages in hand from the next look for messages on, also after a new connection."""
        self.initial_prefetch_count = prefetch
        if self.qos:
            self.qos.value = prefetch

    @property
    def served(self) -> list[str]:
        """What is consumed now (before there is a connection: what will be), and what waits for the end of a pause."""
        tasks, left = self.task_consumer, self._pause_watch.left
        consumed = [queue.name for queue in tasks.queues] if tasks else [*self.app.amqp.queues.consume_from]
        return [*consumed, *sorted(left - set(consumed))]

    def serve(self, queues: Sequence[str]) -> None:
        """These from now on, on the loop's thread. What was fetched from others is still worked off."""
        before, left = self.served, self._pause_watch.left
        # What a new connection will consume is changed first. Source: celery.worker.consumer.Consumer.add_task_queue.
        self.app.amqp.queues.select([queue for queue in queues if queue not in left])
        for queue in queues:
            if queue not in before:
                self.add_task_queue(queue)
        for queue in before:
            if queue not in queues:
                self._pause_watch.forget(queue)
                self.cancel_task_queue(queue)

    def update_strategies(self) -> None:
        """Events go out together, a little later: Celery sends them by 24 or after each task, which cost as much as its scoring."""
        super().update_strategies()
        self._events_are_due = False
        if self.event_dispatcher:
            self.event_dispatcher.buffer_limit = EVENTS_AT_ONCE

    def on_send_event_buffered(self) -> None:
        if not self._events_are_due:
            self._events_are_due = True
            self.hub.call_later(EVENTS_WITHIN_S, self._send_events)

    def _send_events(self) -> None:
        self._events_are_due = False
        self._flush_events()

    def register_with_event_loop(self, hub: Any) -> None:
        """From now on the loop says that it goes round. A task of `solo`, and a Redis that is away, keep it from that."""
        super().register_with_event_loop(hub)
        vitals.turned()
        hub.call_repeatedly(TURNS_TOLD_S, vitals.turned)

    def stop(self) -> None:
        self._flush_events()
        super().stop()

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
            if isinstance(self.pool, ModelPool) and isinstance(connection.transport, Transport):
                connection.transport.after_delivery = self.pool.take_turn
        except Exception:
            with suppress(Exception):  # it is broken already
                connection.collect(CLOSE_S)
            raise
        return connection

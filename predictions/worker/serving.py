"""Takes no messages of a queue while it is paused, so that they stay in Redis; what slips through is refused by the claims."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Any

from django.db import connection

from predictions.pauses import paused_queues
from predictions.vitals import vitals
from predictions.worker.insisting import insist

log = logging.getLogger(__name__)
EVERY_S = 2.0
PREFORK = "prefork"
_soon = threading.Event()
_looking = threading.Lock()


def leave_to_resume(put_back: Callable[[], bool]) -> None:
    """A message was taken and nothing could be claimed: should that be for a pause, its row is due at the resume."""
    if insist(put_back):
        _soon.set()


class PauseWatch:
    """Looks every two seconds, and at once when a claim was refused, from a thread; acts on the consumer's own loop."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._left = set[str]()
        self._is_running = False

    def start(self) -> None:
        if not self._is_running:
            self._is_running = True
            threading.Thread(target=self._run, name="pauses", daemon=True).start()

    @property
    def left(self) -> set[str]:
        """What is not consumed only because it is paused."""
        return set(self._left)

    def forget(self, queue: str) -> None:
        """It was dropped: a resume does not take it up."""
        self._left.discard(queue)

    def _run(self) -> None:
        while True:
            try:
                paused = _look()
                if paused or self._left:
                    self._consumer.call_soon(self._serve_all_but, paused)
            except Exception as error:  # the claims hold meanwhile
                log.warning("Whether a queue is paused could not be read: %s", error)
                connection.close()
            _soon.wait(EVERY_S)
            _soon.clear()

    def _serve_all_but(self, paused: set[str]) -> None:
        served = self._consumer.app.amqp.queues.consume_from
        for queue in sorted(paused & set(served)):
            self._leave(queue)
        for queue in sorted(self._left - paused):
            self._take_up(queue)

    def _leave(self, queue: str) -> None:
        """Also for a connection that is made anew. Source: celery.worker.consumer.Consumer.cancel_task_queue."""
        log.info("%s is paused: its messages stay where they are", queue)
        self._left.add(queue)
        self._consumer.app.amqp.queues.deselect(queue)
        if self._consumer.task_consumer:
            self._consumer.task_consumer.cancel_by_queue(queue)

    def _take_up(self, queue: str) -> None:
        """Celery's own add_task_queue would forget it with the connection."""
        self._left.discard(queue)
        log.info("%s is resumed", queue)
        queues = self._consumer.app.amqp.queues
        queues.select([*queues.consume_from, queue])
        if self._consumer.task_consumer:
            self._consumer.add_task_queue(queue)


def _look() -> set[str]:
    """Nothing forks meanwhile, and a parent that may fork keeps no connection that its child would inherit."""
    with _looking:
        paused = paused_queues()
        if vitals.pool == PREFORK:
            connection.close()
            if close_pool := getattr(connection, "close_pool", None):
                close_pool()
        return paused


os.register_at_fork(before=_looking.acquire, after_in_parent=_looking.release, after_in_child=_looking.release)

"""Sends messages to Celery; nothing else does. The row is the outbox: a message that is lost is sent again."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from celery import current_app
from django.db import connection, transaction

from predictions.clock import Clock
from predictions.models import Chunk, Job, State, utc_now
from predictions.queues import transport_priority

log = logging.getLogger(__name__)
PREDICT = "predictions.predict"
SCORE_CHUNK = "predictions.score_chunk"
# The steward may publish a fresh row after this; the web drops what it could not send in the time below.
STEWARD_AFTER_S = 2.0
TOO_OLD_S = 1.0
AGAIN_AFTER_S = 30.0
CONFIRM_EVERY_S = 0.2


@dataclass(frozen=True)
class Message:
    """One Celery message, and the row whose sending it confirms."""

    name: str
    args: tuple[Any, ...]
    task_id: str
    queue: str
    priority: int
    job_id: UUID
    chunk_id: int | None
    attempt: int
    made: float = field(default_factory=time.monotonic)


def for_job(job: Job) -> Message:
    args = (job.vector, job.model)
    return Message(PREDICT, args, str(job.id), job.queue, job.priority, job.id, None, job.attempt)


def for_chunk(job: Job, chunk: Chunk) -> Message:
    """Names (job, chunk, attempt): a duplicate finds the attempt gone and sends nothing."""
    args = (str(job.id), chunk.pk, chunk.attempt, job.model)
    return Message(SCORE_CHUNK, args, task_id_of(chunk), job.queue, job.priority, job.id, chunk.pk, chunk.attempt)


def task_id_of(chunk: Chunk) -> str:
    """The id of the message that (job, chunk, attempt) awaits, so that it can be looked for in Redis."""
    return str(uuid5(chunk.job_id, f"{chunk.number}/{chunk.attempt}"))


class Sender:
    """One connection to the broker. Belongs to one thread."""

    def __init__(self) -> None:
        self._connection: Any = None

    def send(self, messages: Sequence[Message]) -> list[Message]:
        """Publish in order; returns those that the broker took. It stops at the first that fails."""
        sent: list[Message] = []
        try:
            producer = self._producer()
            for message in messages:
                self._publish(producer, message)
                sent.append(message)
        except Exception as error:  # whatever the broker does, the rows are still there
            log.warning("%d of %d messages were not published: %s", len(messages) - len(sent), len(messages), error)
            self.close()
        return sent

    def close(self) -> None:
        broken, self._connection = self._connection, None
        if broken is not None:
            with suppress(Exception):  # it is broken already
                broken.collect(socket_timeout=0.1)

    def _producer(self) -> Any:
        if self._connection is None:
            self._connection = current_app.connection_for_write(
                transport_options={"max_retries": 1, "interval_start": 0}
            )
        return current_app.amqp.Producer(self._connection, auto_declare=False)

    @staticmethod
    def _publish(producer: Any, message: Message) -> None:
        current_app.send_task(
            message.name,
            args=message.args,
            task_id=message.task_id,
            queue=message.queue,
            priority=transport_priority(message.priority),
            producer=producer,
            retry=False,
            ignore_result=True,
            root_id=str(message.job_id),  # whoever meets a message alone can tell its job
            argsrepr="(…)",  # the repr of a vector costs more than its insert (facts 12)
            kwargsrepr="{}",
        )


def give_back(messages: Sequence[Message]) -> None:
    """These were taken and could not be sent: they are due again as soon as the broker is back.

    Each UPDATE is a transaction of its own: one row is locked at a time, whatever the order.
    """
    for message in messages:
        if message.chunk_id is None:
            rows: Any = Job.objects.filter(pk=message.job_id, state=State.QUEUED, run_after__lte=Clock())
        else:
            rows = Chunk.objects.filter(pk=message.chunk_id, state=Chunk.State.RESERVED)
        rows.filter(attempt=message.attempt, publish_at__isnull=False).update(publish_at=Clock())


def confirm(messages: Sequence[Message], sent_at: datetime) -> None:
    """These were sent: the steward need not, unless the row has been claimed and has come back since."""
    with transaction.atomic(savepoint=False):
        _lock_jobs(messages)
        Job.objects.filter(pk__in={message.job_id for message in messages}, published=None).update(published=sent_at)
        for attempt in {message.attempt for message in messages}:
            _confirm_attempt([message for message in messages if message.attempt == attempt], attempt)


def _lock_jobs(messages: Iterable[Message]) -> None:
    """In the order of ids, before any is changed; their chunks are locked under them. SQLite has one writer."""
    if connection.features.has_select_for_update:
        rows = Job.objects.select_for_update().filter(pk__in={message.job_id for message in messages})
        list(rows.order_by("pk").values_list("pk"))


def _confirm_attempt(sent: Sequence[Message], attempt: int) -> None:
    """A row that was postponed meanwhile keeps its time."""
    jobs = [message.job_id for message in sent if message.chunk_id is None]
    chunks = [message.chunk_id for message in sent if message.chunk_id is not None]
    Job.objects.filter(pk__in=jobs, state=State.QUEUED, attempt=attempt, run_after__lte=Clock()).update(publish_at=None)
    reserved = Chunk.objects.filter(pk__in=chunks, state=Chunk.State.RESERVED, attempt=attempt)
    reserved.filter(job__run_after__lte=Clock()).update(publish_at=None)


class Publisher:
    """Publishes from a thread of its own, so that a request never waits for the broker."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._pid = 0
        self._lock = threading.Lock()

    def publish_soon(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._waiting.put(message)
        with self._lock:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                threading.Thread(target=self._run, name="publisher", daemon=True).start()

    def _run(self) -> None:
        sender, unconfirmed = Sender(), list[tuple[list[Message], datetime]]()
        confirm_at = 0.0
        while True:
            fresh = self._gather(CONFIRM_EVERY_S if unconfirmed else None)
            if fresh:
                confirm_at = confirm_at if unconfirmed else time.monotonic() + CONFIRM_EVERY_S
                sent_at = utc_now()
                unconfirmed.append((sender.send(fresh), sent_at))
            if unconfirmed and time.monotonic() >= confirm_at:
                self._confirm(unconfirmed)
                unconfirmed = []

    def _gather(self, wait_s: float | None) -> list[Message]:
        """What waits, without what is too old: the steward publishes that."""
        try:
            messages = [self._waiting.get(timeout=wait_s)]
        except queue.Empty:
            return []
        while not self._waiting.empty():
            messages.append(self._waiting.get())
        now = time.monotonic()
        return [message for message in messages if now - message.made < TOO_OLD_S]

    @staticmethod
    def _confirm(groups: list[tuple[list[Message], datetime]]) -> None:
        """Gathered, because a commit for each would cost more than the publish."""
        try:
            with transaction.atomic():
                _lock_jobs(message for messages, _ in groups for message in messages)
                for messages, sent_at in groups:
                    confirm(messages, sent_at)
        except Exception as error:  # unconfirmed rows are published twice at worst, which is harmless
            log.warning("Publishes could not be confirmed: %s", error)
            connection.close()


_publisher = Publisher()
publish_soon = _publisher.publish_soon

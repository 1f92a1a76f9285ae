"""Sends messages to Celery; nothing else does. The row is the outbox: a message that is lost is sent again."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import redis
from django.conf import settings
from django.db import connection
from redis.backoff import NoBackoff
from redis.retry import Retry

from predictions import confirmations
from predictions.clock import Clock
from predictions.confirmations import Sent
from predictions.envelopes import envelope
from predictions.fresh import FreshJob
from predictions.models import Chunk, Export, Job, State, utc_now
from predictions.own_thread import OwnThread
from predictions.queues import DEFAULT, band_key, transport_priority

log = logging.getLogger(__name__)
PREDICT = "predictions.predict"
SCORE_CHUNK = "predictions.score_chunk"
EXPORT = "predictions.export"
# The steward may publish a fresh row after this; the web drops what it could not send in the time below.
STEWARD_AFTER_S = 2.0
TOO_OLD_S = 1.0
AGAIN_AFTER_S = 30.0
# Even what was sent a second late is confirmed before the steward may publish it.
CONFIRM_EVERY_S = 0.5


@dataclass(frozen=True)
class Message:
    """One Celery message, and the row whose sending it confirms."""

    name: str
    args: tuple[Any, ...]
    task_id: str
    queue: str
    priority: int
    lane: int
    job_id: UUID
    chunk_id: int | None
    attempt: int
    export_id: int | None = None
    made: float = field(default_factory=time.monotonic)

    @property
    def band_key(self) -> str:
        return band_key(self.queue, self.priority, self.lane)

    def envelope(self) -> bytes:
        band = transport_priority(self.priority, self.lane)
        return envelope(self.name, self.args, self.task_id, str(self.job_id), self.queue, band)

    def sent(self, at: datetime) -> Sent:
        return Sent(self.job_id, self.chunk_id, self.attempt, at, self.export_id)


def for_job(job: Job | FreshJob) -> Message:
    args = (job.vector, job.model)
    return Message(PREDICT, args, str(job.id), job.queue, job.priority, job.lane, job.id, None, job.attempt)


def for_chunk(job: Job, chunk: Chunk) -> Message:
    """Names (job, chunk, attempt): a duplicate finds the attempt gone and sends nothing."""
    args = (str(job.id), chunk.pk, chunk.attempt, job.model)
    return Message(
        SCORE_CHUNK, args, task_id_of(chunk), job.queue, job.priority, job.lane, job.id, chunk.pk, chunk.attempt
    )


def for_export(job: Job, export: Export) -> Message:
    """Names (job, export, attempt), as a chunk's does."""
    args = (str(job.pk), export.pk, export.attempt, job.model)
    task_id = task_id_of_export(export)
    return Message(EXPORT, args, task_id, DEFAULT, job.priority, 0, job.pk, None, export.attempt, export.pk)


def task_id_of_export(export: Export) -> str:
    return str(uuid5(export.job_id, f"{export.format}/{export.attempt}"))


def task_id_of(chunk: Chunk) -> str:
    """The id of the message that (job, chunk, attempt) awaits, so that it can be looked for in Redis."""
    return str(uuid5(chunk.job_id, f"{chunk.number}/{chunk.attempt}"))


class Sender:
    """One connection to the broker. Belongs to one thread."""

    def __init__(self) -> None:
        self._client: redis.Redis | None = None

    def send(self, messages: Sequence[Message]) -> list[Message]:
        """Publish in order, all or none; returns those that the broker took. After a time-out it may have taken others."""
        try:
            self._push(messages)
        except Exception as error:  # whatever the broker does, the rows are still there
            log.warning("%d messages were not published: %s", len(messages), error)
            self.close()
            return []
        return list(messages)

    def close(self) -> None:
        broken, self._client = self._client, None
        if broken is not None:
            with suppress(Exception):  # it is broken already
                broken.close()

    def _push(self, messages: Sequence[Message]) -> None:
        """One command a band, and more than one in a transaction: a full Redis takes all or refuses all."""
        bands: dict[str, list[bytes]] = {}
        for message in messages:
            bands.setdefault(message.band_key, []).append(message.envelope())
        if len(bands) == 1:
            ((key, envelopes),) = bands.items()
            self._connected().lpush(key, *envelopes)
        elif bands:
            pipe = self._connected().pipeline(transaction=True)
            for key, envelopes in bands.items():
                pipe.lpush(key, *envelopes)
            pipe.execute()

    def _connected(self) -> redis.Redis:
        if self._client is None:
            self._client = redis.Redis.from_url(settings.REDIS_URL, single_connection_client=True, **_patience())
        return self._client


def _patience() -> dict[str, Any]:
    """As long as Celery waits for the same broker. A connection that Redis has closed is made anew once, a frozen one never."""
    options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    waits = {name: options[name] for name in ("socket_timeout", "socket_connect_timeout", "health_check_interval")}
    return {**waits, "retry": Retry(NoBackoff(), 1, (redis.ConnectionError,))}


def give_back(messages: Sequence[Message]) -> None:
    """These were taken and could not be sent: they are due again as soon as the broker is back.

    Each UPDATE is a transaction of its own: one row is locked at a time, whatever the order.
    """
    for message in messages:
        if message.export_id is not None:
            rows: Any = Export.objects.filter(pk=message.export_id, state=Export.State.QUEUED)
        elif message.chunk_id is None:
            rows = Job.objects.filter(pk=message.job_id, state=State.QUEUED, run_after__lte=Clock())
        else:
            rows = Chunk.objects.filter(pk=message.chunk_id, state=Chunk.State.RESERVED)
        rows.filter(attempt=message.attempt, publish_at__isnull=False).update(publish_at=Clock())


def confirm(messages: Iterable[Message], sent_at: datetime) -> None:
    """These were sent: the steward need not."""
    confirmations.confirm([message.sent(sent_at) for message in messages])


class Publisher:
    """Publishes from a thread of its own, so that a request never waits for the broker."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Sequence[Message]] = queue.SimpleQueue()
        self._thread = OwnThread(self._run, "publisher")

    def publish_soon(self, messages: Sequence[Message]) -> None:
        self._waiting.put(messages)
        self._thread.start()

    def _run(self) -> None:
        sender, unconfirmed = Sender(), list[Sent]()
        confirm_at = 0.0
        while True:
            fresh = self._gather(CONFIRM_EVERY_S if unconfirmed else None)
            if fresh:
                confirm_at = confirm_at if unconfirmed else time.monotonic() + CONFIRM_EVERY_S
                sent_at = utc_now()
                unconfirmed += [message.sent(sent_at) for message in sender.send(fresh)]
            if unconfirmed and time.monotonic() >= confirm_at:
                self._confirm(unconfirmed)
                unconfirmed = []

    def _gather(self, wait_s: float | None) -> list[Message]:
        """What waits, without what is too old: the steward publishes that."""
        try:
            messages = [*self._waiting.get(timeout=wait_s)]
        except queue.Empty:
            return []
        while not self._waiting.empty():
            messages += self._waiting.get()
        now = time.monotonic()
        return [message for message in messages if now - message.made < TOO_OLD_S]

    @staticmethod
    def _confirm(sent: list[Sent]) -> None:
        """Gathered, because a commit for each would cost more than the publish."""
        try:
            confirmations.confirm(sent)
        except Exception as error:  # unconfirmed rows are published twice at worst, which is harmless
            log.warning("Publishes could not be confirmed: %s", error)
            connection.close()


_publisher = Publisher()
publish_soon = _publisher.publish_soon

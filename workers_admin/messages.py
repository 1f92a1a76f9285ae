"""The messages of one queue as Redis holds them, told apart by the job or chunk they are about."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from predictions import broker, dispatch
from predictions.queues import BANDS, band_key


@dataclass(frozen=True)
class About:
    """What a message is for. chunk_id and attempt: of a batch's part, or of a file to make; unknown: no message of ours."""

    job_id: UUID | None = None
    chunk_id: int | None = None
    attempt: int | None = None


@dataclass
class Held:
    """waiting (by priority) and unacked: what the messages are about, one entry a message."""

    waiting: dict[int, list[About]] = field(default_factory=dict)
    unacked: list[About] = field(default_factory=list)

    @property
    def messages(self) -> list[About]:
        return [about for band in self.waiting.values() for about in band] + self.unacked


def held(queue: str) -> Held:
    """All messages of a queue. Raises redis.RedisError."""
    pipe = broker.client().pipeline(transaction=False)
    for band in BANDS:
        pipe.lrange(band_key(queue, *band), 0, -1)
    pipe.hvals(broker.UNACKED)
    *found, unacked = pipe.execute()
    delivered = (orjson.loads(entry) for entry in unacked)
    waiting: dict[int, list[About]] = {}
    for (priority, _), messages in zip(BANDS, found, strict=True):
        if messages:
            waiting.setdefault(priority, []).extend(_all_about(map(orjson.loads, messages)))
    return Held(
        waiting=waiting,
        unacked=_all_about(message for message, _, routing_key in delivered if routing_key == queue),
    )


def _all_about(messages: Iterable[dict[str, Any]]) -> list[About]:
    return [_about(message) for message in messages]


def _about(message: dict[str, Any]) -> About:
    """A message that is not ours is about nothing we know."""
    try:
        headers = message["headers"]
        if headers["task"] == dispatch.PREDICT:
            return About(UUID(headers["id"]))
        if headers["task"] in {dispatch.SCORE_CHUNK, dispatch.EXPORT}:
            job_id, chunk_id, attempt, *_ = orjson.loads(base64.b64decode(message["body"]))[0]
            return About(UUID(job_id), int(chunk_id), int(attempt))
    except (KeyError, ValueError, TypeError, IndexError):
        pass
    return About()

"""The messages of one queue as Redis holds them, told apart by the job or chunk they are about; and how some of them leave it."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

import orjson

from predictions import broker, dispatch
from predictions.models import ENDED, Export, Job, Kind
from predictions.queues import BANDS, DEFAULT, band_key


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


def remove_idle(queue: str) -> int:
    """Take out of a queue what no worker would begin: its job has ended, or nobody awaits its file. Raises redis.RedisError."""
    return sum(_remove_idle_from(band_key(queue, *band), queue) for band in BANDS)


def _remove_idle_from(key: str, queue: str) -> int:
    """The oldest first, where Redis finds each at once. What a worker takes meanwhile it drops."""
    removed = kept = 0
    while page := _page(key, kept):
        gone = _remove(key, _idle(page, queue))
        removed, kept = removed + gone, kept + len(page) - gone
    return removed


def _idle(raw: list[bytes], queue: str) -> list[bytes]:
    about = dict(zip(raw, _all_about(map(orjson.loads, raw)), strict=True))
    if queue == DEFAULT:
        open_ = Export.objects.filter(state__in=[Export.State.QUEUED, Export.State.RUNNING])
        awaited = set(open_.filter(pk__in=[each.chunk_id for each in about.values()]).values_list("pk", flat=True))
        return [each for each in raw if about[each].chunk_id is not None and about[each].chunk_id not in awaited]
    job_ids = [each.job_id for each in about.values() if each.job_id]
    ended = set(Job.objects.filter(pk__in=job_ids, state__in=ENDED).values_list("pk", flat=True))
    return [each for each in raw if about[each].job_id in ended]


def remove_of_job(job: Job) -> int:
    """Take out the messages of one job that wait in its band: its id is in each. Raises redis.RedisError."""
    key, name = band_key(job.queue, job.priority, job.lane), str(job.pk).encode()
    removed = kept = 0
    while page := _page(key, kept):
        gone = _remove(key, [each for each in page if name in each])
        removed, kept = removed + gone, kept + len(page) - gone
        if removed and job.kind == Kind.REALTIME:  # it has one
            break
    return removed


def _page(key: str, behind: int) -> list[bytes]:
    """The oldest of a band behind so many, the oldest first."""
    return cast(list[bytes], broker.client().lrange(key, -behind - broker.PAGE, -behind - 1))[::-1]


def _remove(key: str, raw: list[bytes]) -> int:
    pipe = broker.client().pipeline(transaction=False)
    for each in raw:
        pipe.lrem(key, -1, cast(str, each))
    return sum(pipe.execute())

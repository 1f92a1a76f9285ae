"""What Redis holds of our messages, band by band, and whether it has forgotten. Reads; dispatch.py sends."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

import redis
from django.conf import settings

from predictions.queues import BANDS, QUEUES, band_key

UNACKED = "unacked"
UNACKED_INDEX = "unacked_index"
EPOCH = "inference_site:epoch"
TIMEOUT_S = 2.0
PAGE = 1_000


@dataclass
class Depth:
    """One queue in Redis: messages waiting by our priority, both lanes of it together, and those delivered but not acknowledged."""

    waiting_by_priority: dict[int, int] = field(default_factory=dict)
    unacked: int = 0

    @property
    def waiting(self) -> int:
        return sum(self.waiting_by_priority.values())


@cache
def client() -> redis.Redis:
    """One pool a process, never waiting longer than two seconds."""
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)


def depths() -> dict[str, Depth]:
    """Depth of every queue, in one round trip. Raises redis.RedisError."""
    places = [(queue, *band) for queue in QUEUES for band in BANDS]
    pipe = client().pipeline(transaction=False)
    for place in places:
        pipe.llen(band_key(*place))
    pipe.hvals(UNACKED)
    *lengths, unacked = pipe.execute()
    found = {queue: Depth() for queue in QUEUES}
    for (queue, priority, _), length in zip(places, lengths, strict=True):
        if length:
            waiting = found[queue].waiting_by_priority
            waiting[priority] = waiting.get(priority, 0) + length
    for entry in unacked:
        if (queue := _queue_of(entry)) in found:
            found[queue].unacked += 1
    return found


def _queue_of(entry: bytes) -> str:
    """kombu keeps [message, exchange, routing key] for what was delivered. Source: kombu.transport.redis.QoS.append."""
    return str(json.loads(entry)[2])


def waiting_ids(queue: str) -> list[str]:
    """The task ids of the messages that wait in a queue, most urgent first."""
    bands = (_messages_in(band_key(queue, *band)) for band in BANDS)
    return [_task_id(json.loads(message)) for band in bands for message in reversed(band)]


def _messages_in(band: str) -> list[bytes]:
    """Newest first, page by page, so that a deep one does not hold up Redis.

    New ones come in at the front and the oldest leave at the end: what is pushed meanwhile is read twice, nothing is missed.
    """
    found: list[bytes] = []
    while page := cast(list[bytes], client().lrange(band, len(found), len(found) + PAGE - 1)):
        found += page
    return found


def held_ids(queue: str) -> set[str]:
    """The task ids of all messages of a queue: those that wait, and those delivered but not acknowledged."""
    entries: Any = client().hvals(UNACKED)
    delivered = [json.loads(entry)[0] for entry in entries if _queue_of(entry) == queue]
    # What was given back between the two questions is found by the second.
    return {_task_id(message) for message in delivered} | set(waiting_ids(queue))


def delivered(queue: str) -> list[tuple[str, str]]:
    """(task id, id of its job) of each message of a queue that some worker has and has not acknowledged, the oldest first."""
    pipe = client().pipeline(transaction=False)
    pipe.zrange(UNACKED_INDEX, 0, -1)
    pipe.hgetall(UNACKED)
    tags, entries = pipe.execute()
    mine = [entries[tag] for tag in tags if tag in entries and _queue_of(entries[tag]) == queue]
    headers = [json.loads(entry)[0]["headers"] for entry in mine]
    return [(header["id"], header["root_id"] or header["id"]) for header in headers]


def _task_id(message: dict[str, Any]) -> str:
    """A message that somebody else put into our queue may have none."""
    return str((message.get("headers") or {}).get("id"))


def eviction_policy() -> str:
    """What Redis does when it is full; anything but "noeviction" can lose messages. INFO, since managed servers refuse CONFIG."""
    memory: Any = client().info("memory")
    return str(memory.get("maxmemory_policy", "unknown"))


def is_marked() -> bool:
    """False where Redis no longer holds the mark we left: it lost what it had."""
    return bool(client().exists(EPOCH))


def mark(epoch: str) -> None:
    client().set(EPOCH, epoch)


def ping() -> None:
    """Raises redis.RedisError where Redis does not answer within two seconds."""
    client().ping()

"""Jobs that wait: how a test makes a backlog, and sees it published, multiplied or drained."""

from __future__ import annotations

from contextlib import suppress
from threading import Event, Thread

import redis

from predictions import broker
from predictions.models import ENDED, OPEN, Job, State
from tests.faults.ledger import Account, Entry
from tests.faults.world import World
from tests.processes import eventually

PATIENCE_S = 180.0


def queue_up(world: World, number: int, **body: object) -> list[Entry]:
    """Submits vectors and waits until the broker has a message for each. No worker works."""
    entries = world.ledger.submit_digits(number, **body)
    assert len(entries) == number, world.ledger.refused
    wait_until_published(world, Job.objects.filter(state=State.QUEUED).count())
    return entries


def wait_until_marked(world: World) -> None:
    """The steward has met this Redis: what was sent before that it sends once more."""
    assert eventually(broker.is_marked), world.log_of("steward")


def wait_until_published(world: World, number: int) -> None:
    """No row waits for its publish, and the broker holds as many messages."""
    assert eventually(lambda: not unpublished() and held(world) >= number, PATIENCE_S, 0.1), (
        unpublished(),
        held(world),
        world.log_of("steward"),
    )


def unpublished() -> int:
    return Job.objects.filter(state=State.QUEUED, publish_at__isnull=False).count()


def held(world: World) -> int:
    """Messages in Redis; none where it is away."""
    with suppress(redis.RedisError):
        return world.messages()
    return 0


def wait_until_drained() -> None:
    assert eventually(lambda: not Job.objects.filter(state__in=OPEN).exists(), PATIENCE_S, 0.1)


def ended() -> int:
    return Job.objects.filter(state__in=ENDED).count()


def first_success_after_s(world: World, at: float) -> float:
    """Seconds from `at` until the first write that the database accepted."""
    return min(entry.at for entry in world.executions() if entry.event == "accepted" and entry.at > at) - at


def drain_s(world: World) -> float:
    """From the first claim to the last write."""
    times = [entry.at for entry in world.executions()]
    return max(times) - min(times)


def is_whole(account: Account) -> bool:
    """Nothing was lost, and nothing had to fail for it."""
    return not account.faults and account.succeeded == account.accepted > 0


class Watch(Thread):
    """Looks at the number of messages again and again. most: the highest it saw."""

    def __init__(self, world: World) -> None:
        super().__init__(name="watch")
        self.most = 0
        self._world, self._leave = world, Event()

    def run(self) -> None:
        while not self._leave.wait(0.25):
            self.most = max(self.most, held(self._world))

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.set()
        self.join()

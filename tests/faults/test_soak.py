"""Ten minutes of everything at once, drawn from a seed: SOAK_S and SOAK_SEED choose another length and another storm."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import pytest
import redis

from predictions import broker
from tests.faults.ledger import percentile
from tests.faults.report import Report
from tests.faults.world import Process, World, frozen, kill, locked_database, repeating

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
SOAK_S = float(os.environ.get("SOAK_S", "600"))
SEED = int(os.environ.get("SOAK_SEED", "20"))
CALM_S = (2.0, 8.0)


class Crew:
    """Keeps every process of the world running: one that ended is started again, as a supervisor would."""

    def __init__(self, world: World) -> None:
        self.posts: dict[str, Callable[[], Process]] = {
            "redis": world.redis,
            "web": lambda: world.web(ready=False),
            "steward": world.steward,
            "realtime 1": lambda: world.worker("realtime", ready=False),
            "realtime 2": lambda: world.worker("realtime", forward_s=0.05, ready=False),
            "batch 1": lambda: world.worker("batch", ready=False),
            "batch 2": lambda: world.worker("batch", forward_s=0.02, ready=False),
        }
        self.members = {post: start() for post, start in self.posts.items()}
        self.restarts = Counter[str]()
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="crew")

    def __enter__(self) -> Crew:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._leave.wait(0.5):
            for post, member in self.members.items():
                if member.poll() is not None:
                    self.members[post] = self.posts[post]()
                    self.restarts[post] += 1


class Storm:
    """Draws one fault after another. Each leaves the world as it found it, or to its crew."""

    def __init__(self, world: World, crew: Crew, dice: random.Random) -> None:
        self.world, self.crew, self.dice = world, crew, dice
        self.done = Counter[str]()
        self._faults: list[Callable[[], None]] = [
            self.kill_a_worker,
            self.kill_a_worker,
            self.freeze_a_worker,
            self.end_a_worker,
            self.kill_redis,
            self.flush_redis,
            self.freeze_redis,
            self.kill_the_steward,
            self.kill_the_web,
            self.end_the_web,
            self.lock_the_database,
            self.revoke_some,
            self.revoke_some,
            self.send_a_burst,
        ]

    def blow(self, until: float) -> None:
        while time.monotonic() < until:
            fault = self.dice.choice(self._faults)
            fault()
            self.done[fault.__name__] += 1
            time.sleep(self.dice.uniform(*CALM_S))

    def a_worker(self) -> Process:
        return self.crew.members[self.dice.choice(["realtime 1", "realtime 2", "batch 1", "batch 2"])]

    def kill_a_worker(self) -> None:
        kill(self.a_worker())

    def freeze_a_worker(self) -> None:
        with frozen(self.a_worker()):
            time.sleep(self.dice.uniform(1, 20))

    def end_a_worker(self) -> None:
        self.a_worker().send_signal(signal.SIGTERM)

    def kill_redis(self) -> None:
        kill(self.crew.members["redis"])

    def flush_redis(self) -> None:
        with suppress(redis.RedisError):  # it is just being started again
            broker.client().flushall()

    def freeze_redis(self) -> None:
        with frozen(self.crew.members["redis"]):
            time.sleep(self.dice.uniform(1, 10))

    def kill_the_steward(self) -> None:
        kill(self.crew.members["steward"])

    def kill_the_web(self) -> None:
        kill(self.crew.members["web"])

    def end_the_web(self) -> None:
        self.crew.members["web"].send_signal(signal.SIGTERM)

    def lock_the_database(self) -> None:
        with locked_database():
            time.sleep(self.dice.uniform(1, 11))

    def revoke_some(self) -> None:
        entries = self.world.ledger.entries[-60:]
        for entry in self.dice.sample(entries, min(10, len(entries))):
            self.world.ledger.revoke(entry.id)

    def send_a_burst(self) -> None:
        self.world.ledger.submit_digits(200)


def test_a_storm_of_faults_loses_nothing_and_records_nothing_twice(world: World, report: Report) -> None:
    dice = random.Random(SEED)
    ledger = world.ledger
    with Crew(world) as crew:
        storm = Storm(world, crew, dice)
        urgency = random.Random(SEED)
        vectors = repeating(lambda: ledger.submit_digit(priority=urgency.randrange(10)), 0.1)
        files = repeating(lambda: ledger.submit_file(3_000), 10.0)
        with vectors, files:
            storm.blow(time.monotonic() + SOAK_S)
        calm_at = time.monotonic()
        account = ledger.settle()
        settled_s = time.monotonic() - calm_at
    print(f"\nseed {SEED}, {SOAK_S:.0f} s: {account}")
    print(f"faults: {dict(storm.done)}; restarts: {dict(crew.restarts)}")
    print(
        f"unanswered {ledger.unanswered}, refused {dict(ledger.refused)}, told on revoke {Counter(ledger.revoke_answers.values())}"
    )
    submit_s = [entry.took_s for entry in ledger.entries]
    report.add(
        f"soak of {SOAK_S:.0f} s, seed {SEED}, {storm.done.total()} faults",
        account,
        settled_s,
        submit_p50_ms=percentile(submit_s, 0.5) * 1000,
        submit_p99_ms=percentile(submit_s, 0.99) * 1000,
    )
    assert not account.faults

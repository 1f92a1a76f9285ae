"""The decision as a table, and random days of load in which it must never go out of bounds nor flap."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictions.limits import EXIT_CODE_TIME_LIMIT
from workers_admin.autoscaling import (
    BUSY,
    COUNTS,
    IDLE,
    LOST,
    NO_MODEL,
    SILENT,
    STARTING,
    STOPPING,
    Decision,
    Ended,
    Memory,
    Own,
    Rules,
    Seen,
    decide,
)

RULES = Rules(least=1, most=4, threshold=50, idle_s=60, cool_down_s=30)
NOW = 1_000.0
CALM = Memory(looked_at=NOW - 2, calm_since=NOW - 60)
JUST_CHANGED = Memory(looked_at=NOW - 2, changed_at=NOW - 10, calm_since=NOW - 60)
BACKING_OFF = Memory(looked_at=NOW - 2, failures=3, may_start_at=NOW + 20)


def own(*states: str, **differs: Any) -> list[Own]:
    """w1 is the eldest."""
    return [Own(f"w{n}", state, 600.0 - n, **differs) for n, state in enumerate(states, 1)]


def decided(seen: Seen, memory: Memory = CALM, **rules: Any) -> Decision:
    return decide(replace(RULES, **rules), seen, memory, NOW)[0]


@pytest.mark.parametrize(
    ("seen", "start", "words"),
    [
        # What waits, against the threshold.
        (Seen(50, own(BUSY)), 0, "Holds: 50 wait, 1 worker serves."),
        (Seen(51, own(BUSY)), 1, "Starts 1 worker: 51 wait, more than 50; 1 worker serves."),
        (Seen(100, own(BUSY)), 1, "Starts 1 worker"),
        (Seen(101, own(BUSY)), 2, "Starts 2 workers"),
        (Seen(5_000, own(BUSY)), 3, "Starts 3 workers: 5,000 wait, more than 50"),
        (Seen(60, own(BUSY, BUSY)), 1, "Starts 1 worker"),
        (Seen(9_999, own(*[BUSY] * 4)), 0, "Holds at --max 4: 9,999 wait, 4 workers serve."),
        (Seen(None, own(BUSY)), 0, "Holds: how much waits is not known."),
        # Fewer than --min.
        (Seen(0), 1, "Starts 1 worker: 0 workers serve, fewer than --min 1."),
        (Seen(0, own(IDLE)), 0, "Holds"),
        # Those that start are coming.
        (Seen(60, own(BUSY, STARTING)), 0, "Holds: 60 wait, 2 workers serve, 1 of them starting."),
        (Seen(160, own(BUSY, STARTING)), 2, "Starts 2 workers"),
        (Seen(0, own(STARTING)), 0, "Holds: 0 wait, 1 worker starts."),
        # Those that others started serve as well.
        (Seen(0, others=[IDLE]), 0, "Holds"),
        (Seen(60, others=[BUSY]), 1, "Starts 1 worker"),
        (Seen(999, own(BUSY), others=[BUSY, BUSY]), 1, "Starts 1 worker"),
        (Seen(999, others=[BUSY] * 5), 0, "Holds: 5 workers that others started serve, more than --max 4."),
        # A dead, lost or stopping one never counts.
        (Seen(0, own(LOST)), 1, "Starts 1 worker: 0 workers serve"),
        (Seen(0, others=[LOST]), 1, "Starts 1 worker: 0 workers serve"),
        (Seen(0, own(STOPPING)), 1, "Starts 1 worker: 0 workers serve"),
        (Seen(0, others=[STOPPING]), 1, "Starts 1 worker: 0 workers serve"),
        (Seen(0, ended=[Ended("w1", 600, -9)]), 1, "Starts 1 worker: 0 workers serve"),
        # Silence may be a slow database: until it is lost, it counts.
        (Seen(0, own(SILENT)), 0, "Holds"),
        # What is not gone still holds its memory and its GPU.
        (Seen(999, own(BUSY, BUSY, BUSY, STOPPING)), 0, "It waits for w4 to be gone."),
        (Seen(999, own(BUSY, BUSY, LOST)), 1, "Starts 1 worker"),
        (Seen(999, own(BUSY), free_gpus=1), 1, "Starts 1 worker"),
        (Seen(999, own(BUSY), free_gpus=0), 0, "No GPU is free."),
        # A paused queue is not scaled up; its least stays.
        (Seen(999, own(BUSY), is_paused=True), 0, "Holds: the queue is paused; 999 wait, 1 worker serves."),
        (Seen(999, is_paused=True), 1, "fewer than --min 1"),
        # More workers without a model help nobody.
        (Seen(999, own(NO_MODEL)), 0, "Holds: a worker cannot load its model, so more would not help"),
    ],
)
def test_it_grows(seen: Seen, start: int, words: str) -> None:
    decision = decided(seen)
    assert (decision.start, decision.drain) == (start, ()) and words in decision.words


@pytest.mark.parametrize(
    ("seen", "drain", "words"),
    [
        (Seen(0, own(IDLE, IDLE)), ("w2",), "Drains w2: for 1 min at most 25 waited and a worker was idle"),
        (Seen(25, own(BUSY, IDLE)), ("w2",), "Drains w2"),
        (Seen(25, own(IDLE, BUSY)), ("w1",), "Drains w1"),
        # Between half the threshold and all of it nothing is done.
        (Seen(26, own(BUSY, IDLE)), (), "Holds: 26 wait"),
        (Seen(0, own(BUSY, BUSY)), (), "Holds"),
        (Seen(0, own(IDLE)), (), "Holds"),
        (Seen(0, own(IDLE), others=[IDLE]), ("w1",), "Drains w1"),
        (Seen(0, others=[IDLE, IDLE]), (), "Holds"),
        (Seen(0, own(BUSY), others=[LOST]), (), "Holds"),
        (Seen(0, own(IDLE, STOPPING)), (), "Holds"),
        # At most --max, whoever started them.
        (Seen(999, own(*[BUSY] * 6)), ("w6", "w5"), "Drains w6 and w5: 6 workers serve, more than --max 4."),
        (Seen(0, own(BUSY, BUSY), others=[BUSY] * 3), ("w2",), "Drains w2: 5 workers serve"),
        # What a paused queue holds waits on purpose.
        (Seen(999, own(IDLE, IDLE), is_paused=True), ("w2",), "Drains w2"),
    ],
)
def test_it_shrinks(seen: Seen, drain: tuple[str, ...], words: str) -> None:
    decision = decided(seen)
    assert (decision.drain, decision.start) == (drain, 0) and words in decision.words


def test_the_last_worker_goes_only_where_nothing_waits_at_all() -> None:
    assert decided(Seen(0, own(IDLE)), least=0).drain == ("w1",)
    assert decided(Seen(1, own(IDLE)), least=0).drain == ()


def test_one_worker_is_started_for_whatever_waits_without_any() -> None:
    assert decided(Seen(3), least=0).words == "Starts 1 worker: 3 wait and no worker serves."
    assert decided(Seen(0), least=0).start == 0


@pytest.mark.parametrize(
    ("memory", "start", "words"),
    [
        (JUST_CHANGED, 0, "It cools down for 20 s."),
        (replace(JUST_CHANGED, changed_at=NOW - 30), 1, "Starts 1 worker"),
        (BACKING_OFF, 0, "Waits 20 s before it starts another: a worker died at its start, 3 times in a row."),
        (replace(BACKING_OFF, failures=1), 0, "a worker died at its start, once."),
        (Memory(looked_at=NOW - 60), 0, "Holds: the database was shut for a while"),
        (Memory(), 1, "Starts 1 worker"),
    ],
)
def test_it_waits_after_a_change_a_failure_or_a_gap(memory: Memory, start: int, words: str) -> None:
    decision = decided(Seen(51, own(BUSY)), memory)
    assert decision.start == start and words in decision.words


def test_the_least_is_replaced_without_a_cool_down_but_not_in_a_loop() -> None:
    assert decided(Seen(0), JUST_CHANGED).start == 1
    assert decided(Seen(0), BACKING_OFF).start == 0


def test_it_does_not_shrink_before_the_calm_has_lasted() -> None:
    assert decided(Seen(0, own(IDLE, IDLE)), replace(CALM, calm_since=NOW - 59)).drain == ()
    assert decided(Seen(0, own(IDLE, IDLE)), JUST_CHANGED).drain == ()


def test_the_calm_begins_anew_with_every_change() -> None:
    _, memory = decide(RULES, Seen(0, own(IDLE, IDLE, IDLE)), CALM, NOW)
    assert (memory.changed_at, memory.calm_since) == (NOW, None)


def test_the_calm_ends_when_more_waits() -> None:
    assert decide(RULES, Seen(40, own(BUSY, IDLE)), CALM, NOW)[1].calm_since is None


@pytest.mark.parametrize(
    ("ended", "failures"),
    [
        (Ended("w1", 3.0, 1), 1),
        (Ended("w1", 3.0, -9), 1),
        (Ended("w1", 61.0, 1), 0),
        (Ended("w1", 3.0, 0), 0),
        (Ended("w1", 3.0, EXIT_CODE_TIME_LIMIT), 0),
        (Ended("w1", 3.0, None), 0),
    ],
)
def test_who_counts_as_having_died_at_its_start(ended: Ended, failures: int) -> None:
    assert decide(RULES, Seen(0, ended=[ended]), Memory(), NOW)[1].failures == failures


def test_each_death_at_the_start_doubles_the_pause_up_to_five_minutes() -> None:
    memory, pauses = Memory(), []
    for _ in range(9):
        _, memory = decide(RULES, Seen(0, ended=[Ended("w1", 1.0, 1), Ended("w2", 1.0, 1)]), memory, NOW)
        pauses.append(memory.may_start_at - NOW)
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]


@pytest.mark.parametrize(("age_s", "failures"), [(59, 3), (60, 0), (100, 0), (101, 3), (600, 3)])
def test_a_minute_of_health_since_the_last_failure_forgets_them_all(age_s: float, failures: int) -> None:
    memory = replace(BACKING_OFF, may_start_at=NOW - 100)
    assert decide(RULES, Seen(0, [Own("w1", IDLE, age_s)]), memory, NOW)[1].failures == failures


def test_who_is_lost_for_a_minute_is_killed_and_frees_its_place() -> None:
    assert decided(Seen(0, own(IDLE, LOST, silent_for_s=59))).kill == ()
    assert decided(Seen(0, own(IDLE, LOST, silent_for_s=60))).kill == ("w2",)


class Farm:
    """Workers that take three looks to start and one to end; each does so much between two looks."""

    def __init__(self, rules: Rules, each: int) -> None:
        self.rules, self.each = rules, each
        self.memory, self.now, self.depth, self.number = Memory(), 0.0, 0, 0
        self.ages: dict[str, int] = {}
        self.leaving: set[str] = set()
        self.changes: list[tuple[float, int]] = []

    def look(self, arriving: int) -> Seen:
        for name in self.leaving:
            del self.ages[name]
        self.leaving.clear()
        self.ages = {name: age + 1 for name, age in self.ages.items()}
        could = self.each * sum(age > 3 for age in self.ages.values())
        waited, self.depth = self.depth + arriving, max(0, self.depth + arriving - could)
        busy = -(-min(waited, could) // self.each)
        return Seen(
            self.depth,
            [Own(name, self._state(age, n < busy), age * 2) for n, (name, age) in enumerate(self.ages.items())],
        )

    @staticmethod
    def _state(age: int, has_work: bool) -> str:
        return STARTING if age <= 3 else BUSY if has_work else IDLE

    def turn(self, arriving: int) -> tuple[Seen, Decision]:
        seen = self.look(arriving)
        decision, self.memory = decide(self.rules, seen, self.memory, self.now)
        for _ in range(decision.start):
            self.number += 1
            self.ages[f"w{self.number}"] = 0
        self.leaving = set(decision.drain)
        if decision.is_change:
            self.changes.append((self.now, decision.start - len(decision.drain)))
        self.now += 2
        return seen, decision


loads = st.lists(st.tuples(st.integers(0, 90), st.integers(1, 60)), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(loads, st.integers(0, 2), st.integers(2, 5), st.integers(1, 60), st.integers(1, 30))
def test_on_no_day_are_there_fewer_than_the_least_or_more_than_the_most(
    load: list[tuple[int, int]], least: int, most: int, threshold: int, each: int
) -> None:
    farm = Farm(Rules(least, most, threshold, 20, 8), each)
    for arriving, looks in load:
        for _ in range(looks):
            _, decision = farm.turn(arriving)
            assert least <= len(farm.ages) - len(decision.drain) and len(farm.ages) <= most


@settings(max_examples=60, deadline=None)
@given(loads, st.integers(1, 60), st.integers(1, 30))
def test_between_two_changes_it_cools_down_and_before_it_shrinks_it_was_calm(
    load: list[tuple[int, int]], threshold: int, each: int
) -> None:
    farm = Farm(Rules(1, 4, threshold, 20, 8), each)
    for arriving, looks in load:
        for _ in range(looks):
            farm.turn(arriving)
    for (before, _), (after, change) in zip(farm.changes, farm.changes[1:], strict=False):
        assert after - before >= (8 if change > 0 else 20)


@pytest.mark.parametrize("arriving", [0, 5, 10, 18, 30])
def test_under_a_steady_load_it_comes_to_rest(arriving: int) -> None:
    farm = Farm(Rules(1, 4, 50, 20, 8), each=10)
    for _ in range(300):
        farm.turn(arriving)
    rest = len(farm.changes)
    for _ in range(300):
        farm.turn(arriving)
    assert len(farm.changes) == rest


def test_an_idle_farm_ends_at_the_least() -> None:
    farm = Farm(Rules(1, 4, 50, 20, 8), each=10)
    for arriving in [90] * 30 + [0] * 120:
        farm.turn(arriving)
    assert len(farm.ages) == 1 and farm.depth == 0


def test_every_state_of_a_worker_is_judged() -> None:
    assert COUNTS | {STOPPING, LOST} == {STARTING, IDLE, BUSY, SILENT, NO_MODEL, STOPPING, LOST}

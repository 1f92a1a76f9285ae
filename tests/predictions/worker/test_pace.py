from __future__ import annotations

from collections.abc import Callable

import pytest

from predictions.worker.pace import Pace

MOST = 64


def under_load(took_s: Callable[[int], float], turns: int = 20, is_together: bool = True) -> Pace:
    """More waits than it ever takes at once; a turn of n messages takes took_s(n) seconds."""
    pace = Pace(MOST)
    for _ in range(turns):
        messages = pace.at_once if is_together else 1
        pace.worked(messages, took_s(messages), is_together)
    return pace


def test_before_anything_is_known_one_is_worked_on_and_one_fetched_ahead() -> None:
    assert (Pace(MOST).at_once, Pace(MOST).prefetch) == (1, 2)


def test_it_doubles_as_long_as_more_cost_little_more() -> None:
    assert [under_load(lambda n: 0.001 + n * 1e-5, turns).at_once for turns in range(8)] == [1, 2, 4, 8, 16, 32, 64, 64]


@pytest.mark.parametrize(
    ("took_s", "at_once", "prefetch"),
    [
        (lambda n: 0.001 + n * 0.0002, 64, 128),  # a quick model: full micro-batches, and the next one is there already
        (lambda n: 0.03, 64, 128),
        (lambda n: 0.5, 64, 64),  # a slow pass that costs the same for all: one alone would be a waste
        (lambda n: 0.5 + n * 0.02, 13, 13),  # a quarter of a second longer than one alone
        (lambda n: n * 0.1, 3, 3),
        (lambda n: n * 7.0, 1, 1),  # nothing is hoarded
    ],
    ids=["quick", "fixed", "slow and fixed", "slow, and a little for each", "each its own time", "each very slow"],
)
def test_a_turn_is_at_most_a_quarter_of_a_second_longer_than_that_of_one(
    took_s: Callable[[int], float], at_once: int, prefetch: int
) -> None:
    pace = under_load(took_s)
    assert (pace.at_once, pace.prefetch) == (at_once, prefetch)


def test_what_cannot_go_together_is_not_hoarded() -> None:
    pace = under_load(lambda _: 1.0, is_together=False)
    assert (pace.at_once, pace.prefetch) == (1, 1)


def test_one_slow_turn_does_not_decide_but_several_do() -> None:
    pace = under_load(lambda n: 0.01)
    pace.worked(64, 2.0, is_together=True)
    assert pace.at_once >= 32
    for _ in range(20):
        pace.worked(16, 8.0, is_together=True)
    assert pace.at_once == 1


def test_a_worker_that_takes_one_finds_out_that_more_have_become_cheap() -> None:
    pace = under_load(lambda n: n * 1.0)
    assert pace.at_once == 1
    for _ in range(100):
        pace.worked(1, 0.1, is_together=True)
    assert pace.at_once > 1


def test_without_a_turn_of_one_the_shortest_stands_for_it() -> None:
    pace = Pace(MOST)
    pace.worked(64, 0.5, is_together=True)
    pace.worked(64, 0.5, is_together=True)
    assert pace.at_once == 64


def test_a_micro_batch_is_never_larger_than_the_setting() -> None:
    pace = Pace(4)
    for _ in range(4):
        pace.worked(pace.at_once, 0.0001, is_together=True)
    assert (pace.at_once, pace.prefetch) == (4, 8)

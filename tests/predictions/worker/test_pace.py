from __future__ import annotations

import pytest

from predictions.worker.pace import Pace


def paced(messages: int, took_s: float, times: int = 1) -> Pace:
    pace = Pace(64)
    for _ in range(times):
        pace.worked(messages, took_s)
    return pace


def test_before_anything_is_known_one_is_worked_on_and_one_fetched_ahead() -> None:
    assert (Pace(64).at_once, Pace(64).prefetch) == (1, 2)


@pytest.mark.parametrize(
    ("messages", "took_s", "at_once", "prefetch"),
    [
        (1, 0.001, 64, 128),  # a quick model: full micro-batches, and the next one is there already
        (64, 0.015, 64, 128),
        (64, 0.03, 64, 64),
        (1, 0.02, 12, 12),  # what fits into a quarter of a second
        (1, 0.1, 2, 2),
        (1, 1.0, 1, 1),  # a part of a file: nothing is hoarded
        (1, 30.0, 1, 1),
    ],
)
def test_it_takes_what_it_works_on_in_a_quarter_of_a_second(
    messages: int, took_s: float, at_once: int, prefetch: int
) -> None:
    pace = paced(messages, took_s)
    assert (pace.at_once, pace.prefetch) == (at_once, prefetch)


def test_one_slow_turn_does_not_decide_but_several_do() -> None:
    pace = paced(64, 0.01, times=20)
    pace.worked(64, 2.0)
    assert pace.at_once >= 32
    for _ in range(20):
        pace.worked(16, 8.0)
    assert pace.at_once == 1


def test_a_micro_batch_is_never_larger_than_the_setting() -> None:
    pace = Pace(4)
    pace.worked(1, 0.0001)
    assert (pace.at_once, pace.prefetch) == (4, 8)

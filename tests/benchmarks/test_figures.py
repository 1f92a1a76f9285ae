"""What the benchmarks say of their rounds."""

from __future__ import annotations

from benchmarks.figures import alternate, percentile, times_less, times_more
from benchmarks.report import Target

HUNDRED = [float(number) for number in range(100, 0, -1)]


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert [percentile(HUNDRED, share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]


def test_the_percentile_of_few_is_the_largest_of_them() -> None:
    assert percentile([1.0, 2.0, 9.0], 0.99) == 9


def test_the_sides_take_turns() -> None:
    turns: list[str] = []

    def side(name: str, value: float) -> dict[str, float]:
        turns.append(name)
        return {"per_s": value}

    runs = alternate(3, {"ours": lambda: side("a", 30), "plain": lambda: side("b", 10)}, lambda _: None)
    assert (turns, runs["ours"]["per_s"]) == (["a", "b"] * 3, [30, 30, 30])


def test_a_ratio_is_of_the_medians() -> None:
    runs = {"ours": {"ms": [1.0, 2.0, 90.0]}, "plain": {"ms": [10.0, 8.0, 1.0]}}
    assert (times_more(runs, "ms"), times_less(runs, "ms")) == (0.25, 4)


def test_what_must_be_reached_and_what_must_not_be_exceeded() -> None:
    faster = Target("", "", lambda runs: 0, 8, 12)
    limit = Target("", "", lambda runs: 0, 80, None, "ms", is_limit=True)
    assert [faster.says(found) for found in (7.9, 8, 12)] == ["MISS", "pass", "pass, stretch too"]
    assert [limit.says(found) for found in (80, 80.1)] == ["pass", "MISS"]

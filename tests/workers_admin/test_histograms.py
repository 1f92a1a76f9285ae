from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from workers_admin.histograms import bucket_of, from_json, merge, quantiles, seconds_of, to_json

SHARES = (0.5, 0.95, 0.99)
times = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=200)


def counted(values: list[float]) -> dict[int, int]:
    return dict(Counter(map(bucket_of, values)))


def by_nearest_rank(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return next(value for n, value in enumerate(ordered, 1) if n >= share * len(ordered) - 1e-6)


@given(times)
def test_a_percentile_is_at_most_a_twentieth_off(values: list[float]) -> None:
    found = map(seconds_of, quantiles(counted(values), SHARES))
    for seconds, share in zip(found, SHARES, strict=True):
        exact = by_nearest_rank(values, share)
        assert abs(seconds - exact) <= 0.05 * exact


@given(times, times)
def test_two_histograms_add_up_to_that_of_both(first: list[float], second: list[float]) -> None:
    merged = counted(first)
    merge(merged, counted(second))
    assert merged == counted(first + second)


@given(times)
def test_what_was_stored_is_read_as_it_was(values: list[float]) -> None:
    assert from_json(to_json(counted(values))) == counted(values)


def test_of_nothing_there_are_no_percentiles() -> None:
    assert quantiles({}, SHARES) == []


def test_what_took_no_time_at_all_falls_into_the_first_bucket() -> None:
    assert (bucket_of(0.0), bucket_of(-1.0), bucket_of(0.001), bucket_of(0.00101)) == (0, 0, 0, 1)

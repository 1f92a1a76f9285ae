from __future__ import annotations

import pytest

from predictions import ticks

pytestmark = pytest.mark.django_db


def test_the_first_tick_has_no_age() -> None:
    assert ticks.age_s("steward") is None and ticks.tick("steward") is None


def test_a_tick_says_how_long_ago_the_last_one_was() -> None:
    ticks.tick("steward")
    ticks.Tick.objects.update(at=1.0)
    assert (ticks.tick("steward") or 0) > 1000 and (ticks.age_s("steward") or 0) < 5

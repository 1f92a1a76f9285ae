from __future__ import annotations

from typing import Any

import pytest

from predictions import broker, rates
from predictions.errors import TooMany


@pytest.mark.usefixtures("clean_redis")
def test_past_the_limit_a_user_is_told_when_to_try_again(settings: Any) -> None:
    settings.RATE_LIMIT = (2, 3600)
    rates.check(1)
    rates.check(1)
    with pytest.raises(TooMany, match="2 times in 3,600 s") as refusal:
        rates.check(1)
    assert 0 < (refusal.value.retry_after_s or 0) <= 3601


@pytest.mark.usefixtures("clean_redis")
def test_one_users_requests_do_not_count_for_another(settings: Any) -> None:
    settings.RATE_LIMIT = (1, 3600)
    rates.check(1)
    rates.check(2)


def test_where_redis_does_not_answer_nobody_is_held_up(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_ask_again_at", 0.0)  # and is asked again by the next test
    settings.RATE_LIMIT = (1, 3600)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    broker.client.cache_clear()
    try:
        for _ in range(3):
            rates.check(1)
    finally:
        broker.client.cache_clear()


def test_without_a_limit_redis_is_not_even_asked(settings: Any) -> None:
    settings.RATE_LIMIT, settings.REDIS_URL = None, "redis://127.0.0.1:1/0"
    rates.check(1)

"""How often a user may submit: a fixed window in Redis. Where Redis does not answer, nobody is held up."""

from __future__ import annotations

import time

import redis
from django.conf import settings

from predictions import broker
from predictions.errors import TooMany

# Only the first who meets a Redis that is frozen waits for it.
NOT_ASKED_FOR_S = 10.0
_ask_again_at = 0.0


def are_limited() -> bool:
    """False where `check` has nothing to ask of Redis."""
    return settings.RATE_LIMIT is not None and time.monotonic() >= _ask_again_at


def check(user_id: int) -> None:
    """Raises TooMany past RATE_LIMIT, with the seconds until the window ends."""
    global _ask_again_at
    if settings.RATE_LIMIT is None or not are_limited():
        return
    most, window_s = settings.RATE_LIMIT
    now = time.time()
    key = f"inference_site:rate:{user_id}:{int(now // window_s)}"
    try:
        pipe = broker.client().pipeline()
        pipe.incr(key)
        pipe.expire(key, window_s)
        count = int(pipe.execute()[0])
    except redis.RedisError:
        _ask_again_at = time.monotonic() + NOT_ASKED_FOR_S
        return
    if count > most:
        wait_s = int(window_s - now % window_s) + 1
        raise TooMany(
            f"You may submit {most:,} times in {window_s:,} s. Try again in {wait_s} s.", retry_after_s=wait_s
        )

"""The API keys that were valid a moment ago, so that not every request asks the database.

What is changed in this process counts at once, elsewhere as soon as the hub hears of it, and after ten seconds at the latest.
"""

from __future__ import annotations

import threading
import time

from django.contrib.auth.models import AbstractBaseUser

from predictions import keys, rights
from predictions.db_threads import begin_in_db_thread

KEPT_S = 10.0
MOST = 10_000

_lock = threading.Lock()
_known: dict[str, tuple[float, AbstractBaseUser]] = {}
_forgotten = 0


def user_of(plain: str) -> AbstractBaseUser | None:
    """Who has just been found to own this key; None says nothing: ask `look_up`. Shared by all: only read it.
    Its rights were read with it."""
    until, user = _known.get(keys.hash_of(plain), (0.0, None))
    return user if time.monotonic() < until else None


def look_up(plain: str) -> AbstractBaseUser | None:
    """Asks the database. The use is noted later: it must not hold up the request."""
    before = _forgotten
    key = keys.find(plain)
    if key is None:
        return None
    rights.of(key.owner)
    begin_in_db_thread(keys.note_use, key)
    _remember(key.key_hash, key.owner, before)
    return key.owner


def forget() -> None:
    """A key or an account has changed."""
    global _forgotten
    with _lock:
        _forgotten += 1
        _known.clear()


def _remember(key_hash: str, user: AbstractBaseUser, forgotten: int) -> None:
    """Not where something has changed since it was read."""
    with _lock:
        if forgotten == _forgotten:
            if len(_known) >= MOST:
                _known.clear()
            _known[key_hash] = (time.monotonic() + KEPT_S, user)

"""Who is at the other end of a websocket: an API key or a browser session, read anew whenever it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib import import_module
from typing import Any

from channels.auth import get_user
from django.conf import settings

from predictions import keys
from predictions.live.reading import read

BEARER = "bearer "


async def visitor_of(scope: Mapping[str, Any]) -> Any | None:
    """The active user, or None. A key that is not valid is not excused by a session that is."""
    given = _header(scope, b"authorization")
    if given is not None:
        return await _user_of_key(given)
    store = import_module(settings.SESSION_ENGINE).SessionStore
    user = await get_user({"session": store(scope["cookies"].get(settings.SESSION_COOKIE_NAME))})
    return user if user.is_authenticated else None


async def _user_of_key(given: str) -> Any | None:
    if not given.lower().startswith(BEARER):
        return None
    return await read(partial(keys.user_of, given[len(BEARER) :].strip()))


def _header(scope: Mapping[str, Any], name: bytes) -> str | None:
    return next((value.decode("latin-1") for header, value in scope["headers"] if header == name), None)

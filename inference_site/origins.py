"""Refuses websockets that a page of another site opened: browsers send cookies along whoever asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.conf import settings

from inference_site.environment import LOOPBACK_HOSTS

App = Callable[..., Awaitable[Any]]


class OriginCheck:
    """Channels' own validator compares the host only; scheme and port count as well (facts 29)."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        app = self.app if is_allowed(headers) else deny
        return await app(scope, receive, send)


async def deny(_: Any, receive: Any, send: Any) -> None:
    """Answers 403. Channels' own denier would open a subscription in Redis for it."""
    await receive()
    await send({"type": "websocket.close"})


def is_allowed(headers: Mapping[bytes, str]) -> bool:
    """A client that is no browser sends no Origin, and nobody's cookies either."""
    origin = headers.get(b"origin")
    if origin is None or origin.lower() in settings.ALLOWED_ORIGINS:
        return True
    return settings.IS_LOOPBACK_ONLY and _is_same_loopback(origin.lower(), headers.get(b"host", "").lower())


def _is_same_loopback(origin: str, host: str) -> bool:
    """On this machine any port will do, as long as page and socket have the same."""
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return name in LOOPBACK_HOSTS and origin == f"http://{host}"

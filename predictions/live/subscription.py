"""The web process's one subscription on the channel layer; it comes back by itself after Redis was away.

Fan-out by one group member a socket saturates at 100 sockets; one subscription a process does not (facts 28).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from channels.layers import get_channel_layer

log = logging.getLogger(__name__)
AGAIN_AFTER_S = 1.0
CLOSE_S = 1.0
COMPLAIN_EVERY_S = 30.0
Hear = Callable[[dict[str, Any]], None]


async def listen(groups: Iterable[str], hear: Hear, subscribed: Callable[[], None]) -> None:
    """Hand every message of the groups to `hear`, until cancelled. `subscribed` is called at the beginning and after each break."""
    said = ""
    while True:
        try:
            await _listen(groups, hear, subscribed)
        except Exception as error:  # whatever the layer met, it is tried again
            if str(error) != said:
                log.warning("Changes cannot be heard, trying again: %s", error or type(error).__name__)
            said = str(error)
        await asyncio.sleep(AGAIN_AFTER_S)


async def _listen(groups: Iterable[str], hear: Hear, subscribed: Callable[[], None]) -> None:
    layer = get_channel_layer()
    try:
        channel = await layer.new_channel("hub.")
        for group in groups:
            await layer.group_add(group, channel)
        subscribed()
        while True:
            hear(await layer.receive(channel))
    finally:
        await close()


async def close() -> None:
    """Close the loop's connections to Redis. Done before `listen` is cancelled, or the layer tells a Redis that is away goodbye."""
    with suppress(Exception):
        async with asyncio.timeout(CLOSE_S):
            await get_channel_layer().flush()


class _OneLine(logging.Filter):
    """The layer logs a traceback a second while Redis is away; one sentence every half minute says it all."""

    said_at = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        if time.monotonic() - self.said_at < COMPLAIN_EVERY_S:
            return False
        self.said_at = time.monotonic()
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg, record.args = (
            "Redis cannot be heard; pages are looked up slowly meanwhile: %s",
            (record.exc_info and record.exc_info[1],),
        )
        record.exc_info = record.exc_text = None
        return True


logging.getLogger("channels_redis.pubsub").addFilter(_OneLine())

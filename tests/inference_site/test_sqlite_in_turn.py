"""Writers of one SQLite file, each on a connection of its own: threads here, and processes where one is killed or forked."""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connections, transaction

from inference_site import environment
from inference_site.sqlite_in_turn import turn
from tests.processes import ROOT

WRITERS, TIMES = 4, 50
HOLDER = """
import sys, time
from inference_site.sqlite_in_turn.turn import Turn
turn = Turn(sys.argv[1])
turn.take()
print(turn.is_mine, flush=True)
time.sleep(60)
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, django_db_blocker: Any) -> Iterator[Path]:
    """A database with one row `number (n, times)`; each thread reaches it by connections of its own, "one" and "two"."""
    path = tmp_path / "turns.sqlite3"
    with django_db_blocker.unblock():
        name_connections(monkeypatch, f"sqlite:///{path}")
        run("CREATE TABLE number (n integer PRIMARY KEY, times integer)")
        run("INSERT INTO number VALUES (1, 0)")
        yield path
        close_all()


def name_connections(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    for alias in ("one", "two"):
        settings = environment.database(Path())
        monkeypatch.setitem(
            connections.settings, alias, connections.configure_settings({"default": settings})["default"]
        )


def close_all() -> None:
    for alias in ("one", "two"):
        connections[alias].close()
        del connections[alias]


def run(statement: str, alias: str = "one") -> list[Any]:
    with connections[alias].cursor() as cursor:
        return list(cursor.execute(statement))


def add_one(alias: str = "one") -> None:
    """Reads, then writes: lost where two do it at the same time."""
    with transaction.atomic(alias):
        ((times,),) = run("SELECT times FROM number", alias)
        run(f"UPDATE number SET times = {times + 1}", alias)


def is_free(file: Path) -> bool:
    """Whether another process could begin at once."""
    with Path(f"{file}-turn").open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def holder(file: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has the turn and does nothing with it."""
    command = [sys.executable, "-c", HOLDER, f"{file}-turn"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout and child.stdout.readline() == "True\n"
        yield child
        child.kill()


def test_writers_in_a_crowd_all_get_through(file: Path) -> None:
    def write() -> None:
        for _ in range(TIMES):
            add_one()
        close_all()

    with ThreadPoolExecutor(WRITERS) as crowd:
        for each in [crowd.submit(write) for _ in range(WRITERS)]:
            each.result()
    assert run("SELECT times FROM number") == [(WRITERS * TIMES,)]


def test_who_writes_has_the_turn_until_the_outermost_block_ends(file: Path) -> None:
    seen = [is_free(file)]
    with transaction.atomic("one"):
        with suppress(ValueError), transaction.atomic("one"):
            raise ValueError
        with transaction.atomic("one"):
            run("UPDATE number SET times = 7")
        seen.append(is_free(file))
    assert [*seen, is_free(file)] == [True, False, True] and run("SELECT times FROM number") == [(7,)]


def test_a_statement_without_a_transaction_takes_its_turn_too(file: Path) -> None:
    with holder(file):
        begun = time.monotonic()
        run("UPDATE number SET times = 1")
        waited_s = time.monotonic() - begun
    assert waited_s >= turn.PATIENCE_S and is_free(file)


def test_who_reads_waits_for_nobody(file: Path) -> None:
    with transaction.atomic("two"):
        begun = time.monotonic()
        assert run("SELECT times FROM number") == [(0,)]
        assert time.monotonic() - begun < turn.PATIENCE_S


@pytest.mark.parametrize("ends", ["by an error", "by a refused statement", "by a rollback", "by closing", "forgotten"])
def test_the_turn_ends_with_the_transaction_however_it_ends(file: Path, ends: str) -> None:
    with suppress(ValueError, sqlite3.Error, OperationalError), transaction.atomic("one"):
        if ends == "by an error":
            raise ValueError
        if ends == "by a refused statement":
            run("UPDATE nothing SET times = 1")
        if ends == "by a rollback":
            transaction.set_rollback(True, "one")
        if ends == "by closing":
            connections["one"].close()
        if ends == "forgotten":
            connections["one"].connection = None
            gc.collect()
            assert is_free(file)
    assert is_free(file)


def test_a_killed_holder_leaves_the_turn_to_the_next(file: Path) -> None:
    with holder(file) as child:
        assert not is_free(file)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert is_free(file)


def test_a_frozen_holder_is_passed_by_after_a_second(file: Path) -> None:
    with holder(file) as child:
        child.send_signal(signal.SIGSTOP)
        add_one()
    assert run("SELECT times FROM number") == [(1,)]


def test_a_database_that_stays_locked_says_so_in_time(file: Path) -> None:
    connections["two"].settings_dict["OPTIONS"]["timeout"] = 0.2
    with transaction.atomic("one"):
        begun = time.monotonic()
        with pytest.raises(OperationalError, match="database is locked"):
            add_one("two")
    assert time.monotonic() - begun >= turn.PATIENCE_S


def test_who_writes_without_a_turn_is_waited_for(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as shell, ThreadPoolExecutor(1) as other:
        shell.execute("BEGIN IMMEDIATE")
        shell.execute("UPDATE number SET times = 5")
        waiting = other.submit(lambda: (add_one(), close_all()))
        time.sleep(0.1)
        shell.execute("COMMIT")
        waiting.result()
    assert run("SELECT times FROM number") == [(6,)]


def test_a_forked_child_neither_has_nor_ends_its_parents_turn(file: Path) -> None:
    connections["one"].ensure_connection()
    mine = connections["one"].connection.turn
    with transaction.atomic("one"):
        child = os.fork()
        if not child:
            had = mine.is_mine
            mine._try()
            os._exit(had + 2 * mine.is_mine)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert not is_free(file)


def test_a_database_in_memory_has_no_turns(monkeypatch: pytest.MonkeyPatch, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock():
        name_connections(monkeypatch, "sqlite://:memory:")
        run("CREATE TABLE number (times integer)")
        with transaction.atomic("one"):
            run("INSERT INTO number VALUES (3)")
        assert run("SELECT times FROM number") == [(3,)] and connections["one"].connection.turn is None
        connections["one"].connection.close()
        del connections["one"]

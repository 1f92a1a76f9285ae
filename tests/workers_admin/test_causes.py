"""Each thing that can be wrong is caused for real, and told in the console's strip; what takes longer is in test_causes_at_work.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from predictions import broker, ticks
from predictions.model_cards import ModelCard
from tests import processes
from tests.predictions.jobs import submit_digit
from tests.surroundings import free_port
from workers_admin import facts, surroundings
from workers_admin.conditions import Condition, conditions
from workers_admin.redis_look import Probe
from workers_admin.surroundings import Watch

pytestmark = pytest.mark.django_db
PAGES = ("console", "console_queues", "console_workers", "console_results", "console_audit")
FEW_CONNECTIONS = ("--tcp-backlog", "4")


@pytest.fixture
def own_redis(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """A Redis of the test's own, which it may freeze, fill and kill."""
    port = free_port()
    settings.REDIS_URL = f"redis://127.0.0.1:{port}/0"
    broker.client.cache_clear()
    monkeypatch.setattr(surroundings, "watch", Watch())
    monkeypatch.setattr(surroundings, "EVERY_S", 0.1)
    monkeypatch.setattr(broker, "TIMEOUT_S", 1.0)
    monkeypatch.setattr(surroundings, "IDLE_S", 1.0)
    with processes.running(f"redis-{port}", [*processes.redis_command(port), *FEW_CONNECTIONS]) as child:
        assert processes.eventually(lambda: processes.answers(broker.client()))
        yield child
    broker.client().close()
    broker.client.cache_clear()


@pytest.fixture
def calm_steward() -> None:
    """Its last commits were quick, whatever another test of this process did before."""
    for _ in range(ticks.COMMITS + 1):
        ticks.tick("steward")


def strip() -> dict[str, Condition]:
    return {condition.key: condition for condition in conditions(facts.facts_now())}


def told(key: str, within_s: float = 5.0) -> Condition:
    assert processes.eventually(lambda: key in strip(), within_s), strip()
    return strip()[key]


def is_over(key: str) -> bool:
    return processes.eventually(lambda: key not in strip())


@pytest.mark.usefixtures("own_redis", "calm_steward")
def test_nothing_is_wrong_with_a_redis_that_works() -> None:
    assert strip() == {}


@pytest.mark.usefixtures("calm_steward")
def test_a_redis_that_was_killed_is_down(own_redis: subprocess.Popen[bytes]) -> None:
    processes.end(own_redis, signal.SIGKILL)
    assert "Connection refused" in told("redis-down").words


@pytest.mark.usefixtures("calm_steward")
def test_a_redis_that_was_stopped_in_its_tracks_is_frozen_and_pages_wait_for_it_once(
    own_redis: subprocess.Popen[bytes], client: Client, staff: Any
) -> None:
    client.force_login(staff)
    own_redis.send_signal(signal.SIGSTOP)
    took = sorted(page_s(client, page) for page in (*PAGES, *PAGES))
    assert took[-2] < 1.0 < took[-1], took
    frozen = told("redis-frozen")
    assert "takes connections and has not answered" in frozen.words and frozen.command.startswith("ps -o pid,stat")
    own_redis.send_signal(signal.SIGCONT)
    assert is_over("redis-frozen")


def page_s(client: Client, page: str) -> float:
    begun = time.monotonic()
    assert client.get(reverse(page)).status_code == 200
    return time.monotonic() - begun


def test_a_redis_that_stays_frozen_is_never_taken_for_one_that_is_down(own_redis: subprocess.Popen[bytes]) -> None:
    """Its queue of connections is short here: an hour of looks that connect anew would fill any."""
    own_redis.send_signal(signal.SIGSTOP)
    with closing(Probe()) as probe:
        assert {probe.look().fault for _ in range(20)} == {"frozen"}
        processes.end(own_redis, signal.SIGKILL)
        assert probe.look().fault == "down"


@pytest.mark.usefixtures("own_redis", "calm_steward")
def test_a_redis_that_is_nearly_full_is_told_with_what_gives_it_room() -> None:
    used: Any = broker.client().info("memory")
    broker.client().config_set("maxmemory", int(used["used_memory"] * 1.1))
    condition = told("redis-memory")
    broker.client().execute_command(*condition.command.split()[3:])
    assert is_over(condition.key)


@pytest.mark.usefixtures("own_redis", "calm_steward")
def test_a_redis_that_may_evict_is_told_with_its_cure() -> None:
    broker.client().config_set("maxmemory-policy", "allkeys-lru")
    condition = told("eviction")
    broker.client().execute_command(*condition.command.split()[3:])
    assert is_over(condition.key)


@pytest.mark.usefixtures("own_redis", "calm_steward")
def test_a_redis_that_asks_for_a_password_refuses_and_is_not_called_down() -> None:
    broker.client().config_set("requirepass", "secret")
    broker.client().connection_pool.disconnect()
    assert "Redis refuses to work" in told("redis-refuses").words


@pytest.mark.usefixtures("own_redis", "calm_steward")
def test_jobs_that_wait_without_a_worker_are_told(user: Any, digits: ModelCard) -> None:
    submit_digit(user, digits)
    assert told("idle-realtime").words == "realtime: 1 waiting, no worker."


@pytest.mark.usefixtures("own_redis", "calm_steward")
def test_a_job_that_waits_longer_than_the_target_is_told(user: Any, digits: ModelCard, settings: Any) -> None:
    settings.REALTIME_WAIT_TARGET = 1
    submit_digit(user, digits)
    assert "wait-realtime" not in strip()
    assert told("wait-realtime").words.endswith("longer than the target of 1.0 s.")


@pytest.mark.usefixtures("own_redis", "calm_steward")
@pytest.mark.django_db(transaction=True)
def test_a_database_whose_commits_wait_is_slow() -> None:
    for _ in range(3):
        slow_tick(0.35)
        assert "database" not in strip()
    slow_tick(0.35)  # each tells of those before it
    condition = told("database")
    assert condition.words.startswith("The database is slow: the steward's commits take ")
    ticks.tick("steward"), ticks.tick("steward"), ticks.tick("steward")
    assert "database" not in strip()


def slow_tick(seconds: float) -> None:
    """While somebody else has the row."""
    has_it = threading.Event()

    def hold() -> None:
        with transaction.atomic():
            ticks.Tick.objects.update(name="steward")
            has_it.set()
            time.sleep(seconds)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert has_it.wait(5)
    ticks.tick("steward")
    holder.join()


@pytest.mark.usefixtures("own_redis", "calm_steward")
def test_a_database_that_answers_late_is_slow() -> None:
    def late(execute: Any, sql: str, *given: Any) -> Any:
        time.sleep(0.12 if "predictions_tick" in sql else 0.0)
        return execute(sql, *given)

    with connection.execute_wrapper(late):
        for _ in range(facts.LOOKS):
            found = strip()
    assert "looking up one row takes 1" in found["database"].words
    assert "database" not in strip()


@pytest.mark.usefixtures("own_redis", "calm_steward")
def test_a_disk_with_less_free_than_is_asked_for_is_told(settings: Any) -> None:
    settings.DISK_FREE_PERCENT = 100
    assert f"The disk of {settings.DATA_DIR} is nearly full" in told(f"disk-{settings.DATA_DIR}").words


SMALL_DISK = "mount -t tmpfs -o size=4m none {folder} && head -c 3900000 /dev/zero > {folder}/full && exec {command}"
LOOK = """
import django; django.setup()
from workers_admin.surroundings import disks, places
for disk in disks(places()): print(disk.path, disk.size_bytes, disk.free_bytes)
"""


@pytest.mark.long
def test_a_small_disk_that_was_filled_is_measured(tmp_path: Path) -> None:
    """In a mount of its own; where the system grants none, the test above stands alone."""
    command = f"{sys.executable} -c '{LOOK}'"
    script = SMALL_DISK.format(folder=tmp_path, command=command)
    given = {"DATA_DIR": str(tmp_path), "SECRET_KEY": "x" * 50, "DJANGO_SETTINGS_MODULE": "inference_site.settings"}
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script],
        cwd=processes.ROOT,
        env=os.environ | given,
        capture_output=True,
        text=True,
    )
    if "not permitted" in done.stderr or "denied" in done.stderr:
        pytest.skip("no mounts here")
    path, size, free = done.stdout.splitlines()[0].rsplit(" ", 2)
    assert (path, int(size)) == (str(tmp_path), 4 * 1024**2) and int(free) < 0.1 * int(size), done.stderr


def test_a_steward_that_never_ran_is_told(own_redis: Any) -> None:
    assert told("steward").words.startswith("The steward has never run")

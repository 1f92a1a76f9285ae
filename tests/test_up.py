"""`manage.py up` as somebody at a terminal meets it: one start that several tests look at, then what survives a kill."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from inference_site import static_files
from inference_site.management.commands.up import _worker
from predictions.queues import POOL
from tests.processes import ROOT, eventually
from tests.surroundings import free_port

CHILDREN = {"redis", "web", "steward", "realtime", "batch"}
MARKS = {
    "redis-server": "redis",
    "uvicorn": "web",
    "steward": "steward",
    "realtime@%h": "realtime",
    "batch@%h": "batch",
}
PATIENCE_S = 90.0


@dataclass
class Up:
    """One `manage.py up` with a data folder of its own."""

    data_dir: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> str:
        return (self.data_dir / "up.log").read_text(errors="replace")

    def children(self) -> dict[str, psutil.Process]:
        found = psutil.Process(self.process.pid).children()
        return {name: child for child in found for mark, name in MARKS.items() if mark in command_of(child)}

    def is_whole(self) -> bool:
        return set(self.children()) == CHILDREN and self.log.count(" ready.") >= 2


def command_of(process: psutil.Process) -> str:
    """Empty for one that is gone or not yet buried."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def environment(data_dir: Path, port: int) -> dict[str, str]:
    own = {"DATA_DIR": str(data_dir), "PORT": str(port), "MODEL_DIR": str(settings.MODEL_DIR)}
    return {name: value for name, value in os.environ.items() if name not in {"REDIS_URL", "DATABASE_URL"}} | own


def start(data_dir: Path, port: int) -> Up:
    with (data_dir / "up.log").open("wb") as log:
        command = [sys.executable, "manage.py", "up"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment(data_dir, port), stdout=log, stderr=log)
    return Up(data_dir, port, process)


def refused(data_dir: Path, port: int) -> str:
    command = [sys.executable, "manage.py", "up"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(data_dir, port), capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 1
    return done.stderr


def end(up: Up) -> None:
    """In order, unless it has ended."""
    if up.process.poll() is None:
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(30) == 0


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory, collected_static: None) -> Path:
    """Static files are collected once for the whole run: hashing them again would cost seconds."""
    folder = tmp_path_factory.mktemp("up")
    shutil.copytree(settings.STATIC_ROOT, folder / "static")
    (folder / "static" / "collected-from").write_text(static_files.fingerprint())
    return folder


@pytest.fixture(scope="module")
def up(data_dir: Path, model_dir: Path) -> Iterator[Up]:
    running = start(data_dir, free_port())
    assert eventually(running.is_whole, PATIENCE_S), running.log
    yield running
    end(running)


def test_it_prints_where_redis_is_and_how_to_sign_in(up: Up) -> None:
    assert re.search(r"^Redis: redis://127\.0\.0\.1:\d+/0$", up.log, re.MULTILINE)
    assert re.search(rf"^Sign in: http://127\.0\.0\.1:{up.port}/sign-in/[\w-]+/$", up.log, re.MULTILINE)


def test_a_second_terminal_finds_the_same_redis(up: Up) -> None:
    assert f"Redis: {(up.data_dir / 'redis_url').read_text().strip()}\n" in up.log


def test_a_second_up_in_the_same_data_folder_is_refused_by_name(up: Up) -> None:
    said = refused(up.data_dir, free_port())
    assert f"is in use by another `up`, process {up.process.pid}. Stop that one or start with another DATA_DIR." in said


def test_a_taken_port_is_one_clear_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        said = refused(tmp_path, port)
    cure = f"Stop what listens there or start with PORT={port + 1} make run."
    assert said.strip() == f"CommandError: Port {port} on 127.0.0.1 is taken. {cure}"


def test_a_default_model_that_is_not_registered_is_one_clear_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEFAULT_MODEL", "nope")
    said = refused(tmp_path, free_port())
    assert said.startswith("CommandError: DEFAULT_MODEL='nope' cannot be used: The model 'nope' is not known; ")


def test_a_killed_worker_is_said_and_started_again(up: Up) -> None:
    old = up.children()["realtime"]
    old.kill()
    assert eventually(lambda: up.children().get("realtime", old) != old)
    assert re.search(r"realtime was ended by SIGKILL after [\d.]+ s; it starts again in 0\.5 s\.", up.log)


def test_ctrl_c_stops_the_web_then_the_workers_then_redis(up: Up) -> None:
    assert eventually(up.is_whole, PATIENCE_S)
    children = up.children().values()
    began = time.monotonic()
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(30) == 0
    assert time.monotonic() - began < 30
    ending = up.log.partition("Stopping;")[2]
    steps = ["Finished server process", "Warm shutdown", "Redis is now ready to exit", "Stopped."]
    assert sorted(steps, key=ending.index) == steps
    assert not [child for child in children if child.is_running()]


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of a killed parent")
def test_children_end_with_a_killed_up_and_the_next_start_is_whole(data_dir: Path, model_dir: Path, up: Up) -> None:
    address = (data_dir / "redis_url").read_text()
    end(up)
    first = start(data_dir, free_port())
    assert eventually(lambda: set(first.children()) >= CHILDREN, PATIENCE_S), first.log
    children = first.children().values()
    first.process.kill()
    first.process.wait()
    assert eventually(lambda: not [child for child in children if child.is_running()], 5)
    second = start(data_dir, free_port())
    try:
        assert eventually(second.is_whole, PATIENCE_S), second.log
        assert (data_dir / "redis_url").read_text() == address
    finally:
        end(second)


def test_its_workers_run_under_our_own_pool() -> None:
    worker = _worker("realtime", "realtime", 1)
    assert "--pool=custom" in worker.argv and worker.environment == {"CELERY_CUSTOM_WORKER_POOL": POOL}

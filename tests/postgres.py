"""A PostgreSQL of a test's own: a cluster in a temporary folder, on a free port, gone with the test."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from tests.processes import end, eventually
from tests.surroundings import free_port

USER = "dashboard"
START_S = 30.0
UNPRIVILEGED = ("postgres", "nobody")
MISSING = "PostgreSQL is missing: run `make test`, which installs it"
OPTIONS = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200")
UNSAFE = ("fsync=off",)  # it only matters where the power may fail


@contextmanager
def cluster(durable: bool = False) -> Iterator[str]:
    """Its address, as TEST_DATABASE_URL takes it. durable: for a benchmark, which must not be fast for that reason."""
    folder, port = Path(tempfile.mkdtemp(prefix="dashboard-postgres-")), free_port()
    try:
        as_user = _give_to_unprivileged(folder)
        init = [_program("initdb"), "-D", str(folder / "data"), "-U", USER, "-A", "trust", "-N", "-E", "UTF8"]
        subprocess.run(init, cwd=folder, check=True, capture_output=True, **as_user)
        options = [word for option in OPTIONS + UNSAFE * (not durable) for word in ("-c", option)]
        command = [_program("postgres"), "-D", str(folder / "data"), "-p", str(port), *options]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, **as_user)
        try:
            assert eventually(lambda: _answers(port), START_S), (folder / "log").read_text()
            yield f"postgres://{USER}@127.0.0.1:{port}/dashboard"
        finally:
            end(server, signal.SIGINT)  # whoever is still connected is sent away
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> str:
    """On the PATH, or where Debian keeps it, the newest first."""
    kept = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    found = shutil.which(name) or (str(kept[-1]) if kept else None)
    assert found, MISSING
    return found


def _give_to_unprivileged(folder: Path) -> dict[str, Any]:
    """It refuses to run as root. Returns what makes a child of ours run as somebody else."""
    if os.geteuid() != 0:
        return {}
    for name in UNPRIVILEGED:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise AssertionError(f"PostgreSQL refuses to run as root, and there is no user {' or '.join(UNPRIVILEGED)}")


def _answers(port: int) -> bool:
    try:
        psycopg.connect(f"host=127.0.0.1 port={port} user={USER} dbname=postgres connect_timeout=2").close()
    except psycopg.OperationalError:
        return False
    return True

"""What tests share: people, a trained model, and real Redis, workers and web where the thing under test is between them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from django.db.backends.base.operations import BaseDatabaseOperations
from django.test import override_settings

from predictions import append_only, broker, line, model_cards, waiting, workers
from predictions.model_cards import ModelCard
from tests import processes
from tests.faults.report import FAULT, Line, Report
from tests.surroundings import TEST_MODEL_DIR

PROCESSES = {"a_worker", "steward", "web"}
StartWorker = Callable[..., subprocess.Popen[bytes]]
_numbers = count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The browser comes last: Playwright's loop stays in the main thread, where async tests need their own."""
    items.sort(key=lambda item: "journeys" in item.path.parts)
    for item in items:
        if PROCESSES & set(getattr(item, "fixturenames", ())):
            item.add_marker("processes")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What the tests of faults measured, whichever process ran them."""
    told = [each for reports in terminalreporter.stats.values() for each in reports if _is_last(each)]
    lines = [Line.from_dict(line) for each in told for name, line in each.user_properties if name == FAULT]
    if lines:
        terminalreporter.section("faults")
        terminalreporter.write_line(Report(lines).as_text())


def _is_last(report: Any) -> bool:
    """By then a test's fixtures have told all."""
    return getattr(report, "when", "") == "teardown"


@pytest.fixture(scope="session", autouse=True)
def collected_static() -> None:
    """Pages name their static files by hash: the manifest must be there. Uncompressed, which saves 15 s."""
    plain = {
        **django_settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
    }
    with override_settings(STORAGES=plain):
        call_command("collectstatic", interactive=False, verbosity=0)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Threads of this process keep their connections; PostgreSQL drops no database that is in use."""
    yield
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            others = "datname = current_database() AND pid <> pg_backend_pid()"
            cursor.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
        connection.close()


@pytest.fixture(scope="session", autouse=True)
def emptied_between_tests() -> Iterator[None]:
    """Tests of several connections end by emptying every table. The database refuses that to the audit, so its triggers step aside.

    On PostgreSQL by DELETE as on SQLite: TRUNCATE makes every table's files anew, and met the publisher's thread in a deadlock.
    """
    flush = BaseDatabaseOperations.execute_sql_flush

    def past_the_triggers(operations: Any, _: list[str]) -> None:
        names = operations.connection.introspection.django_table_names(only_existing=True, include_views=False)
        append_only.unprotect(operations.connection)
        flush(operations, [f"DELETE FROM {operations.quote_name(name)}" for name in names])
        append_only.protect(operations.connection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseDatabaseOperations, "execute_sql_flush", past_the_triggers)
        yield


@pytest.fixture(scope="session")
def redis_server() -> Iterator[subprocess.Popen[bytes]]:
    """The run's own Redis, at settings.REDIS_URL."""
    with processes.redis_server() as child:
        yield child


@pytest.fixture(autouse=True)
def exact_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests follow each other more quickly than what is known of a queue grows stale."""
    monkeypatch.setattr(waiting, "PACE_KEPT_S", -1.0)
    monkeypatch.setattr(line, "COUNT_EVERY_S", 0.0)


@pytest.fixture
def clean_redis(redis_server: subprocess.Popen[bytes]) -> None:
    broker.client().flushall()


@pytest.fixture(scope="session")
def model_dir() -> Path:
    """settings.MODEL_DIR with the demo model in it, trained once a run by its own command, in a process of its own."""
    if not TEST_MODEL_DIR:
        processes.run_manage("train_demo_model")
    return Path(django_settings.MODEL_DIR)


@pytest.fixture
def digits(model_dir: Path) -> ModelCard:
    return model_cards.card("digits@1")


@pytest.fixture
def user(db: None) -> Any:
    return get_user_model().objects.create_user("ana")


@pytest.fixture
def other_user(db: None) -> Any:
    return get_user_model().objects.create_user("ben")


@pytest.fixture
def staff(db: None) -> Any:
    return get_user_model().objects.create_superuser("olga")


@pytest.fixture
def a_worker(transactional_db: None, clean_redis: None, model_dir: Path) -> Iterator[StartWorker]:
    """`a_worker("realtime")` starts a real worker on the test database and waits until it has its model."""
    with ExitStack() as stack:

        def start(
            queues: str,
            *options: str,
            env: dict[str, str] | None = None,
            ready: bool = True,
            app: str = "inference_site",
        ) -> subprocess.Popen[bytes]:
            name = f"{queues.split(',')[0]}{next(_numbers)}"
            command = processes.worker_command(queues, name, *options, app=app)
            child = stack.enter_context(
                processes.running(name, command, {**processes.database_env(database()), **(env or {})})
            )
            if ready:
                processes.eventually(lambda: child.poll() is not None or _is_ready(name), processes.START_S)
                assert _is_ready(name), processes.log_of(name)
            return child

        yield start


@pytest.fixture
def steward(transactional_db: None, clean_redis: None) -> Iterator[subprocess.Popen[bytes]]:
    command = processes.manage_command("steward")
    with processes.running(f"steward{next(_numbers)}", command, processes.database_env(database())) as child:
        yield child


@pytest.fixture
def web(transactional_db: None, clean_redis: None, model_dir: Path) -> Iterator[str]:
    """The address of a real uvicorn on the test database."""
    with processes.web(database(), f"web{next(_numbers)}") as address:
        yield address


def database() -> str:
    return str(connection.settings_dict["NAME"])


def _is_ready(name: str) -> bool:
    return any(node.is_ready for node in workers.nodes() if node.name.startswith(f"{name}@"))

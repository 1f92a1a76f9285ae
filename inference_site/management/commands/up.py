"""`manage.py up`: starts the whole product on this machine, keeps it running and stops it in order."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connections

from inference_site import data_dir_lock, embedded_redis, static_files
from inference_site.child import Child
from inference_site.supervising import Log, Supervisor
from predictions import model_cards, sign_in
from predictions.errors import UnknownModel
from predictions.queues import POOL, POOL_VARIABLE

HOST = "127.0.0.1"
REDIS_PATIENCE_S = 10
DEMO_MODEL = "digits"
MANAGE = [sys.executable, str(settings.BASE_DIR / "manage.py")]


class Command(BaseCommand):
    help = "Start Redis (where REDIS_URL is unset), the web, the workers and the steward, and stop them in order."
    requires_system_checks = []  # they cost a second at every start; `make test` runs them

    def handle(self, *args: Any, **options: Any) -> None:
        lock = self._sole_holder()
        _demand_default_model()
        try:
            sys.exit(_run())
        finally:
            lock.close()

    def _sole_holder(self) -> Any:
        """Refuses, before anything is touched, what would end in two of a kind."""
        data_dir = Path(settings.DATA_DIR)
        try:
            lock = data_dir_lock.hold(data_dir)
        except data_dir_lock.Held as held:
            raise CommandError(
                f"{data_dir} is in use by another `up`, process {held.pid}. Stop that one or start with another DATA_DIR."
            ) from held
        if not embedded_redis.is_free(settings.PORT):
            free = settings.PORT % 65535 + 1
            raise CommandError(
                f"Port {settings.PORT} on {HOST} is taken. Stop what listens there or start with PORT={free} make run."
            )
        return lock


def _demand_default_model() -> None:
    """Only the demo model is made here; any other has been registered before, or every worker would lack its model."""
    if settings.DEFAULT_MODEL == DEMO_MODEL:
        return
    try:
        model_cards.default_card()
    except UnknownModel as error:
        raise CommandError(
            f"DEFAULT_MODEL={settings.DEFAULT_MODEL!r} cannot be used: {error.detail} "
            "Register it with `manage.py register_model`, or leave DEFAULT_MODEL unset."
        ) from error


def _run() -> int:
    """Whatever goes wrong on the way, what was started is stopped in order."""
    supervisor = Supervisor(Log())
    supervisor.watch_signals()
    try:
        _bring_up(supervisor)
        supervisor.run_until(lambda: False)
    finally:
        code = supervisor.stop()
    return code


def _bring_up(supervisor: Supervisor) -> None:
    """The web answers before the workers have loaded torch; whom it greets finds a model, also at the very first start."""
    _start_redis(supervisor)
    if not supervisor.is_stopping:
        _prepare()
    _provide_model(supervisor)
    if not supervisor.is_stopping:
        supervisor.start([_web(), _steward()])
    if supervisor.run_until(_web_listens):
        _welcome(supervisor.log)
    if not supervisor.is_stopping:
        supervisor.start(_workers())


def _start_redis(supervisor: Supervisor) -> None:
    """Without an answer the rest starts all the same: what is accepted waits in the database until Redis is back."""
    url = os.environ.get("REDIS_URL") or _embedded(supervisor)
    supervisor.log.say(f"Redis: {_without_password(url)}")
    if not supervisor.run_until(lambda: embedded_redis.answers(url), REDIS_PATIENCE_S) and not supervisor.is_stopping:
        supervisor.log.say("Redis does not answer yet. Jobs are accepted and run once it does.")


def _embedded(supervisor: Supervisor) -> str:
    data_dir = Path(settings.DATA_DIR)
    url = embedded_redis.address(data_dir)
    try:
        supervisor.start([embedded_redis.child(data_dir, url)])
    except embedded_redis.NoRedis as error:
        raise CommandError("No Redis was found. Install redis-server or valkey-server, or set REDIS_URL.") from error
    os.environ["REDIS_URL"] = url  # for the children: this process read its settings before the address was chosen
    return url


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return url.replace(f":{parts.password}@", ":***@") if parts.password else url


def _prepare() -> None:
    try:
        call_command("migrate", interactive=False, verbosity=0)
    except OperationalError as error:
        raise CommandError(f"The database cannot be used: {error}. Start it, or correct DATABASE_URL.") from error
    static_files.collect()
    sign_in.administrator()
    connections.close_all()


def _provide_model(supervisor: Supervisor) -> None:
    """Trains the demo model where there is none, in a process of its own: torch never enters this one or the web."""
    if model_cards.cards() or supervisor.is_stopping:
        return
    training = Child("model", [*MANAGE, "train_demo_model"], runs_once=True)
    supervisor.start([training])
    supervisor.run_until(lambda: training.has_succeeded)


def _web() -> Child:
    argv = [sys.executable, "-m", "uvicorn", "inference_site.asgi:application", "--host", HOST]
    argv += [
        "--port",
        str(settings.PORT),
        "--timeout-graceful-shutdown",
        "5",
        "--no-access-log",
        "--ws-max-size",
        "65536",
        # Compressed once a socket, what hundreds of them are shown costs many times the sending of it.
        "--ws-per-message-deflate",
        "false",
    ]
    return Child("web", argv, stops=0, grace_s=7)


def _steward() -> Child:
    return Child("steward", [*MANAGE, "steward"], stops=0, grace_s=7)


def _workers() -> list[Child]:
    return [_worker("realtime", "realtime", number) for number in range(1, settings.REALTIME_WORKERS + 1)] + [
        _worker("batch", "batch,default", number) for number in range(1, settings.BATCH_WORKERS + 1)
    ]


def _worker(name: str, queues: str, number: int) -> Child:
    """A worker finishes the job in hand before it ends: its grace is the longest."""
    node = name if number == 1 else f"{name}{number}"
    argv = [sys.executable, "-m", "celery", "--quiet", "-A", "inference_site", "worker", "--pool=custom", "-Q", queues]
    argv += ["-n", f"{node}@%h", "--without-mingle", "--without-gossip", "-l", "INFO"]
    return Child(node, argv, stops=1, grace_s=15, environment={POOL_VARIABLE: POOL})


def _web_listens() -> bool:
    return not embedded_redis.is_free(settings.PORT)


def _welcome(log: Log) -> None:
    log.say(f"Open: {sign_in.site_address()}/")
    administrator = sign_in.administrator()
    if not administrator.has_usable_password():
        log.say(f"Sign in: {sign_in.link(administrator)}")
        connections.close_all()

"""When a worker's processes begin to report, pause, and say goodbye: told by Celery's signals.

A thread reports (reporter.py) rather than a step of Celery's own loop: a busy solo worker's loop stands still, and a prefork
child has none.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from celery.signals import (
    celeryd_after_setup,
    worker_before_create_process,
    worker_process_init,
    worker_process_shutdown,
    worker_shutdown,
    worker_shutting_down,
)
from django.db import connection

from predictions import workers
from predictions.vitals import vitals
from workers_admin.celery_worker import PREFORK, CeleryWorker
from workers_admin.reporter import Reporter

reporter = Reporter()
os.register_at_fork(after_in_parent=reporter.after_fork)


def on_init(sender: str, **_: Any) -> None:
    """The node has its name. Reported from now on, so that a worker that still loads torch is seen to be starting."""
    vitals.name = sender
    reporter.start()


@celeryd_after_setup.connect
def on_setup(instance: Any, **_: Any) -> None:
    celery = CeleryWorker(instance)
    vitals.queues, vitals.pool = celery.queues, celery.pool_name
    vitals.prefetch = instance.prefetch_multiplier
    reporter.look_after(celery)
    vitals.changed.set()


@worker_before_create_process.connect
def on_fork(**_: Any) -> None:
    """No thread of ours may hold a lock while it forks."""
    reporter.before_fork()
    _close_pool()


def _close_pool() -> None:
    """A child that inherits psycopg's pool closes its parent's connections, or hangs on its locks (both were seen)."""
    connection.close()
    if close_pool := getattr(connection, "close_pool", None):
        close_pool()


@worker_process_init.connect
def on_process(**_: Any) -> None:
    """A forked child has inherited its parent's view of Celery, which is no more true here."""
    if vitals.pool == PREFORK:
        reporter.look_after(None)
    reporter.start()


@worker_shutting_down.connect
def on_shutting_down(**_: Any) -> None:
    """The children of a prefork worker are told by their rows. In a thread: this runs inside a handler of a signal."""
    if vitals.pool == PREFORK:
        threading.Thread(target=_tell_children, name="goodbye").start()


def _tell_children() -> None:
    workers.ask_to_stop(vitals.name, vitals.host)
    connection.close()


@worker_process_shutdown.connect
def on_process_shutdown(**_: Any) -> None:
    if not reporter.is_orphan:
        reporter.end()


@worker_shutdown.connect
def on_shutdown(**_: Any) -> None:
    reporter.end()
    if vitals.pool == PREFORK:
        workers.say_goodbye(vitals.name, vitals.host)

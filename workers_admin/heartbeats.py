"""Reports a worker process every two seconds, or when it changes, from a thread that also beats during a forward pass.

A thread rather than a step of Celery's own loop: a busy solo worker's loop stands still, and a prefork child has none.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from typing import Any

import psutil
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
from predictions.live import say
from predictions.queues import POOL
from predictions.vitals import vitals

log = logging.getLogger(__name__)
EVERY_S = 2.0
AT_MOST_EVERY_S = 0.5
LAST_REPORT_S = 3.0
PREFORK = "prefork"
CUSTOM = "custom"


class Reporter:
    """One thread in each process that runs tasks."""

    def __init__(self) -> None:
        self._pid = 0
        self._parent = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._said: dict[str, Any] = {}

    def start(self) -> None:
        if self._pid != os.getpid():
            self._pid, self._parent, self._stop, self._said = os.getpid(), os.getppid(), threading.Event(), {}
            self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
            self._thread.start()

    def pause(self) -> None:
        """No report is under way when this returns."""
        self._stop.set()
        vitals.changed.set()
        if self._thread is not None:
            self._thread.join(LAST_REPORT_S)

    def end(self) -> None:
        """Say goodbye: this process will report no more."""
        self.pause()
        workers.say_goodbye(vitals.name, vitals.host, os.getpid())
        say.workers_changed()

    @property
    def is_orphan(self) -> bool:
        """The parent has died: this child ends because of that, not as anybody planned."""
        return os.getppid() != self._parent

    def _run(self) -> None:
        process = psutil.Process()
        while not self._stop.is_set():
            try:
                self._report(process)
            except Exception as error:  # a report that fails is missed by the console, never by the work
                log.warning("The heartbeat could not be written: %s", error)
                connection.close()
            # A change is told soon, but a burst of small jobs is told twice a second.
            self._stop.wait(AT_MOST_EVERY_S)
            vitals.changed.wait(EVERY_S - AT_MOST_EVERY_S)
            vitals.changed.clear()
        connection.close()

    def _report(self, process: psutil.Process) -> None:
        facts = vitals.as_facts(process)
        begins = {} if self._said else {"stop_asked": False}  # a number of a process is used again
        workers.report(vitals.name, os.getpid(), vitals.host, {**facts, **begins, "ended": False})
        if begins and vitals.pool == PREFORK:  # the parent reported until its first child could
            workers.say_goodbye(vitals.name, vitals.host, self._parent)
        if not vitals.stopping and workers.is_asked_to_stop(vitals.name, vitals.host, os.getpid()):
            self._stop_worker()
        said = {name: facts[name] for name in ("state", "job", "model_state", "processed")}
        if said != self._said:
            self._said = said
            say.workers_changed()

    def _stop_worker(self) -> None:
        """Celery's warm shutdown: the task in hand ends first. Of prefork, the parent is the worker."""
        vitals.stopping = True
        log.info("Asked to finish and stop")
        if vitals.pool != PREFORK:
            os.kill(os.getpid(), signal.SIGTERM)
        elif not self.is_orphan:
            os.kill(self._parent, signal.SIGTERM)


reporter = Reporter()


def on_init(sender: str, **_: Any) -> None:
    """The node has its name. Reported from now on, so that a worker that still loads torch is seen to be starting."""
    vitals.name = sender
    reporter.start()


@celeryd_after_setup.connect
def on_setup(instance: Any, **_: Any) -> None:
    vitals.queues = list(instance.app.amqp.queues.consume_from)
    vitals.pool = pool_name(instance.pool_cls)
    vitals.prefetch = instance.prefetch_multiplier
    vitals.changed.set()


def pool_name(pool: type) -> str:
    """As one asks for it on the command line."""
    return CUSTOM if f"{pool.__module__}:{pool.__name__}" == POOL else pool.__module__.rsplit(".", 1)[-1]


@worker_before_create_process.connect
def on_fork(**_: Any) -> None:
    """From here on the children, who run the tasks, report for themselves. No thread of ours may hold a lock while it forks."""
    reporter.pause()
    _close_pool()


def _close_pool() -> None:
    """A child that inherits psycopg's pool closes its parent's connections, or hangs on its locks (both were seen)."""
    connection.close()
    if close_pool := getattr(connection, "close_pool", None):
        close_pool()


@worker_process_init.connect
def on_process(**_: Any) -> None:
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

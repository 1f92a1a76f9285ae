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
from predictions.vitals import vitals
from predictions.workers import Wishes
from workers_admin.celery_worker import PREFORK, CeleryWorker

log = logging.getLogger(__name__)
EVERY_S = 2.0
AT_MOST_EVERY_S = 0.5
LAST_REPORT_S = 3.0
AT_FIRST = {"stop_asked": False, "queues_asked": None, "pool_asked": None}
NEWS = ("state", "job", "model_state", "processed")


class Reporter:
    """One thread in each process that runs tasks, and in the parent of several."""

    def __init__(self) -> None:
        self._pid = 0
        self._parent = 0
        self._is_forking = False
        self._has_children = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._said: dict[str, Any] = {}
        self._celery: CeleryWorker | None = None

    def start(self) -> None:
        if self._pid != os.getpid():
            self._pid, self._parent, self._said, self._thread = os.getpid(), os.getppid(), {}, None
            self._is_forking = self._has_children = False
        if self._thread is None:
            self._stop = threading.Event()
            self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
            self._thread.start()

    def look_after(self, celery: CeleryWorker | None) -> None:
        """None: Celery's loop is not in this process."""
        self._celery = celery

    def pause(self) -> None:
        """No report is under way when this returns."""
        self._stop.set()
        vitals.changed.set()
        if self._thread is not None:
            self._thread.join(LAST_REPORT_S)
            self._thread = None

    def before_fork(self) -> None:
        self._is_forking = True
        self.pause()

    def after_fork(self) -> None:
        """In the parent: its children report for themselves; what only Celery's loop knows it goes on telling."""
        if self._is_forking:
            self._is_forking, self._has_children = False, True
            self.start()

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
        if self._has_children:  # the next fork may follow at once
            self._stop.wait(AT_MOST_EVERY_S)
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
        if self._celery:
            vitals.queues, vitals.pool_size = self._celery.queues, self._celery.pool_size
            vitals.may_resize = self._celery.may_resize
        said = self._report_node() if self._has_children else self._report_process(process)
        self._heed(workers.wishes_of(vitals.name, vitals.host, self._pids()))
        if said != self._said:
            self._said = said
            say.workers_changed()

    def _report_node(self) -> dict[str, Any]:
        workers.report_node(vitals.name, vitals.host, vitals.of_node())
        return {"queues": vitals.queues, "pool_size": vitals.pool_size}

    def _report_process(self, process: psutil.Process) -> dict[str, Any]:
        """Returns what is news when it differs."""
        facts = vitals.of_process(process)
        if self._celery or not self._said:
            facts |= vitals.of_node()
        begins = {} if self._said else AT_FIRST  # a number of a process is used again
        workers.report(vitals.name, os.getpid(), vitals.host, {**facts, **begins, "ended": False})
        if begins and self._is_child:  # the parent reported until its first child could
            workers.say_goodbye(vitals.name, vitals.host, self._parent)
        return {name: facts[name] for name in NEWS} | {"queues": vitals.queues}

    def _pids(self) -> list[int]:
        """Of whom a wish is this process's to hear."""
        return self._celery.pids if self._celery and self._has_children else [os.getpid()]

    @property
    def _is_child(self) -> bool:
        return vitals.pool == PREFORK and self._celery is None

    def _heed(self, wishes: Wishes) -> None:
        if wishes.stop and not vitals.stopping and not self._has_children:
            self._stop_worker()
        if self._celery and wishes.queues is not None:
            self._serve(self._celery, wishes.queues)
        if self._celery and wishes.pool_size is not None:
            self._resize(self._celery, wishes.pool_size)

    def _serve(self, celery: CeleryWorker, wished: list[str]) -> None:
        if sorted(celery.queues) == sorted(wished):
            workers.fulfil(vitals.name, vitals.host, queues_asked=wished)
            say.workers_changed()
        else:
            log.info("Asked to serve %s", ", ".join(wished) or "nothing")
            celery.serve(wished)

    def _resize(self, celery: CeleryWorker, wished: int) -> None:
        if celery.pool_size == wished or not celery.may_resize:
            workers.fulfil(vitals.name, vitals.host, pool_asked=wished)
            say.workers_changed()
        else:
            celery.resize(wished)

    def _stop_worker(self) -> None:
        """Celery's warm shutdown: the task in hand ends first. Of prefork, the parent is the worker."""
        vitals.stopping = True
        log.info("Asked to finish and stop")
        if not self._is_child:
            os.kill(os.getpid(), signal.SIGTERM)
        elif not self.is_orphan:
            os.kill(self._parent, signal.SIGTERM)


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

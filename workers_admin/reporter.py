"""Writes what a worker process says of itself, and hears what it is asked, from a thread that also beats during a forward pass."""

from __future__ import annotations

import logging
import os
import signal
import threading
from typing import Any

import psutil
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
            self._thread = threading.Thread(target=self._run, args=(self._stop,), name="heartbeat", daemon=True)
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

    def _run(self, stop: threading.Event) -> None:
        process = psutil.Process()
        if self._has_children:  # the next fork may follow at once
            stop.wait(AT_MOST_EVERY_S)
        while not stop.is_set():
            try:
                self._report(process)
            except Exception as error:  # a report that fails is missed by the console, never by the work
                log.warning("The heartbeat could not be written: %s", error)
                connection.close()
            # A change is told soon, but a burst of small jobs is told twice a second.
            stop.wait(AT_MOST_EVERY_S)
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

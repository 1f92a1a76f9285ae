"""Reports a worker process every two seconds, or when it changes, from a thread that also beats during a forward pass.

A thread rather than a step of Celery's own loop: a busy solo worker's loop stands still, and a prefork child has none.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

import psutil
from celery.signals import celeryd_after_setup, worker_process_init, worker_shutdown
from django.db import connection

from predictions import workers
from predictions.live import say
from predictions.vitals import vitals

log = logging.getLogger(__name__)
EVERY_S = 2.0
AT_MOST_EVERY_S = 0.5


class Reporter:
    """One thread in each process that runs tasks."""

    def __init__(self) -> None:
        self._pid = 0
        self._stop = threading.Event()
        self._said: dict[str, Any] = {}

    def start(self) -> None:
        if self._pid != os.getpid():
            self._pid, self._stop, self._said = os.getpid(), threading.Event(), {}
            threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def end(self) -> None:
        """Say goodbye: this process will report no more."""
        self._stop.set()
        vitals.changed.set()
        workers.Worker.objects.filter(name=vitals.name, pid=os.getpid(), host=vitals.host).update(ended=True, state="stopping")
        say.workers_changed()

    def _run(self) -> None:
        process = psutil.Process()
        while not self._stop.is_set():
            try:
                self._report(process)
            except Exception as error:  # noqa: BLE001  a report that fails is missed by the console, never by the work
                log.warning("The heartbeat could not be written: %s", error)
                connection.close()
            # A change is told soon, but a burst of small jobs is told twice a second.
            self._stop.wait(AT_MOST_EVERY_S)
            vitals.changed.wait(EVERY_S - AT_MOST_EVERY_S)
            vitals.changed.clear()
        connection.close()

    def _report(self, process: psutil.Process) -> None:
        facts = vitals.as_facts(process)
        workers.report(vitals.name, os.getpid(), vitals.host, {**facts, "ended": False})
        said = {name: facts[name] for name in ("state", "job", "model_state", "processed")}
        if said != self._said:
            self._said = said
            say.workers_changed()


reporter = Reporter()


def on_init(sender: str, **_: Any) -> None:
    """The node has its name. Reported from now on, so that a worker that still loads torch is seen to be starting."""
    vitals.name = sender
    reporter.start()


@celeryd_after_setup.connect
def on_setup(instance: Any, **_: Any) -> None:
    vitals.queues = list(instance.app.amqp.queues.consume_from)
    vitals.pool = instance.pool_cls.__module__.rsplit(".", 1)[-1]
    if vitals.pool == "prefork":  # its children run the tasks and report for themselves
        reporter.end()


@worker_process_init.connect
def on_process(**_: Any) -> None:
    reporter.start()


@worker_shutdown.connect
def on_shutdown(**_: Any) -> None:
    reporter.end()



"""manage.py steward: looks every second for what is left over, dead or past its time. Two at once are harmless."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection

from predictions import dispatch, expiry, recovery, ticks

log = logging.getLogger(__name__)
EVERY_S = 1.0
CHORES_EVERY = 10


class Command(BaseCommand):
    help = "Publishes what was not, rescues what died, removes what expired. Needs no broker to think."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        steward = Steward()
        while not stop.wait(EVERY_S):
            steward.look()


class Steward:
    """The loop's memory between two looks."""

    def __init__(self) -> None:
        self._sender = dispatch.Sender()
        self._patience = recovery.Patience()
        self._memory = recovery.Memory()
        self._looks = 0

    def look(self) -> None:
        """One look. Each duty stands alone: that one fails keeps no other from being done."""
        self._looks += 1
        self._do(self._rescue)
        self._do(recovery.end_stopped)
        self._do(self._memory.check)
        self._do(lambda: recovery.publish_due(self._sender))
        self._do(expiry.expire_results)
        if self._looks % CHORES_EVERY == 0:
            for chore in (expiry.sweep_drafts, expiry.forget_history, recovery.forget_old_workers):
                self._do(chore)

    def _rescue(self) -> None:
        """The tick comes first: if the database was shut to us, it was to the living as well."""
        if self._patience.may_reap(ticks.tick("steward")):
            recovery.reap()

    @staticmethod
    def _do(duty: Callable[[], Any]) -> None:
        try:
            duty()
        except Exception:
            log.exception("A duty failed; it is tried again in a second")
            connection.close()

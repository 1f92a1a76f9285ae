"""manage.py steward: looks every second for what is left over, dead or past its time. Two at once are harmless."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection

from predictions import clock_jumps, dispatch, expiry, lost_messages, lost_workers, recovery, ticks
from workers_admin import downsampling, incidents, notices, samples, totals

log = logging.getLogger(__name__)
EVERY_S = 1.0
EXPIRE_EVERY_S = 0.5
CHORES_EVERY_S = 10.0
SAMPLES_EVERY_S = 1.0
WATCH_EVERY_S = 2.0
STOP_S = 10.0
Duty = Callable[[], Any]


class Command(BaseCommand):
    help = "Publishes what was not, rescues what died, removes what expired. Needs no broker to think."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        loops = [Loop(name, duties, every_s, stop) for name, duties, every_s in rounds()]
        for loop in loops:
            loop.start()
        stop.wait()
        for loop in loops:
            loop.join(STOP_S)


def rounds() -> list[tuple[str, Sequence[Duty], float]]:
    """What is done how often.

    Neither a frozen Redis nor a thousand results to remove may hold up a rescue: a gap in its ticks means that the
    database was shut, and then nobody is reaped.
    """
    patience, census, sender = recovery.Patience(), lost_messages.Census(), dispatch.Sender()

    def rescue() -> None:
        # The tick comes first: if the database was shut to us, it was to the living as well.
        if patience.may_reap(ticks.tick("steward")):
            recovery.reap()

    def sample() -> None:
        # What is made of samples has something to do where there is a new one: once in ten looks.
        if samples.sample():
            downsampling.merge()
            totals.advance()

    return [
        ("rescue", (rescue, recovery.end_stopped), EVERY_S),
        ("expire", (expiry.expire_results,), EXPIRE_EVERY_S),
        (
            "publish",
            (
                recovery.publish_what_redis_forgot,
                census.check,
                lost_workers.publish_what_they_held,
                lambda: recovery.publish_all_due(sender),
            ),
            EVERY_S,
        ),
        ("watch", (incidents.Watcher().look,), WATCH_EVERY_S),
        # A hook that hangs holds up nothing but itself.
        *((f"tell by {way}", (partial(notices.send_due, way),), EVERY_S) for way in notices.ways()),
        ("samples", (sample,), SAMPLES_EVERY_S),
        (
            "chores",
            (
                clock_jumps.pull_back,
                expiry.delete_result_files,
                expiry.sweep_drafts,
                expiry.forget_history,
                recovery.forget_old_workers,
                downsampling.forget,
                incidents.forget_old,
            ),
            CHORES_EVERY_S,
        ),
    ]


class Loop(threading.Thread):
    """Does its duties again and again. Each stands alone: that one fails keeps no other from being done."""

    def __init__(self, name: str, duties: Sequence[Duty], every_s: float, stop: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self._duties, self._every_s, self._stop_asked = duties, every_s, stop

    def run(self) -> None:
        while not self._stop_asked.wait(self._every_s):
            for duty in self._duties:
                self._do(duty)
        connection.close()

    def _do(self, duty: Duty) -> None:
        try:
            duty()
        except Exception:
            log.exception("A duty of %s failed; it is tried again", self.name)
            connection.close()

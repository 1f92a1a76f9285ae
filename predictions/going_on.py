"""Acts of many transactions: who asked is answered after a moment, and what is not done by then goes on in a thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

from django.db import connections

log = logging.getLogger(__name__)
MOMENT_S = 1.5
"""A browser that waits for longer looks broken, and whoever sits before it tries again."""


def for_a_moment(steps: Iterator[str]) -> str:
    """What the last step told that was taken meanwhile. Each is a transaction of its own; should this process end, those
    that are left are never taken, and the audit has the act's beginning alone."""
    until, told = time.monotonic() + MOMENT_S, ""
    for step in steps:
        told = step
        if time.monotonic() >= until:
            threading.Thread(target=_go_on, args=[steps], name="going-on", daemon=True).start()
            break
    return told


def _go_on(steps: Iterator[str]) -> None:
    try:
        for _ in steps:
            pass
    except Exception:
        log.exception("An act that went on after its answer broke off; what it had not reached is as it was.")
    finally:
        connections.close_all()

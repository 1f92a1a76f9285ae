"""The last resort of the hard time limit: a timer in C, which ends the process even while C code holds the interpreter."""

from __future__ import annotations

import faulthandler
import time

STDERR = 2
MARGIN_S = 5.0
"""How long after the limit: the beat comes first, and has this long to write down why."""


def arm(limit_at: float) -> None:
    """End the process with all tracebacks on stderr once the limit has passed by the margin. limit_at: of `monotonic`.

    A process has one such timer: arming it anew replaces it. A forked child has none until it arms its own.
    """
    after_s = max(0.0, limit_at - time.monotonic()) + MARGIN_S
    faulthandler.dump_traceback_later(after_s, exit=True, file=STDERR)


def disarm() -> None:
    faulthandler.cancel_dump_traceback_later()

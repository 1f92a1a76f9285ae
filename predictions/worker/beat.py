"""Keeps the leases of what this process holds, from a thread with its own database connection.

It beats also during a forward pass (torch lets go of the interpreter), notices a lease that is gone, and enforces
the hard time limit: the job is failed, fenced, and the process ends itself to be started anew.
"""

from __future__ import annotations

import logging
import os
import threading
import time

from django.conf import settings
from django.db import connection

from predictions import leases, outcomes, turns
from predictions.leases import Claim
from predictions.models import State
from predictions.outcomes import Ending

log = logging.getLogger(__name__)
EXIT_CODE_TIME_LIMIT = 75


class Beat:
    """What is held now. `hold` and `drop` are called by the thread that works."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, object, int], tuple[Claim, float]] = {}
        self._lost: set[tuple[str, object, int]] = set()
        self._lock = threading.Lock()

    def start(self) -> None:
        threading.Thread(target=self._run, name="beat", daemon=True).start()

    def hold(self, claim: Claim) -> None:
        with self._lock:
            self._held[claim.key] = (claim, time.monotonic())

    def drop(self, claim: Claim) -> None:
        with self._lock:
            self._held.pop(claim.key, None)
            self._lost.discard(claim.key)

    def is_lost(self, claim: Claim) -> bool:
        """The lease is gone: somebody else has the work, or nobody may do it."""
        return claim.key in self._lost

    def _run(self) -> None:
        while True:
            time.sleep(leases.BEAT_EVERY_S)
            try:
                self._beat()
            except Exception:  # the next beat tries again; if the lease lapses meanwhile, the fence holds
                log.exception("The leases could not be renewed")
                connection.close()

    def _beat(self) -> None:
        with self._lock:
            held = list(self._held.values())
        if not held:
            return
        for claim, since in held:
            if time.monotonic() - since > settings.TIME_LIMIT:
                end_process_over(claim)
        still, _ = leases.renew(claim for claim, _ in held)
        with self._lock:
            self._lost |= {claim.key for claim, _ in held if claim.key not in still and claim.key in self._held}


def end_process_over(claim: Claim) -> None:
    """The hard time limit: fail the job by its attempt, then end this process at once."""
    message = f"The work did not end within {settings.TIME_LIMIT} s, the time limit. The worker was started anew."
    error = {"code": "time_limit", "message": message}
    log.error("%s %s", claim.job.pk, message)
    if claim.chunk is None:
        outcomes.finish(claim.job.pk, claim.attempt, Ending(State.FAILED, error=error))
    else:
        turns.fail_by(claim, error)
    os._exit(EXIT_CODE_TIME_LIMIT)


beat = Beat()

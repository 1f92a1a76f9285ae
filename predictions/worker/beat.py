"""Keeps the leases of what this process holds, from a thread with its own database connection.

It beats also during a forward pass (torch lets go of the interpreter), notices a lease that is gone, and enforces
the hard time limit: the job is failed, fenced, and the process ends itself to be started anew.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time

from django.db import connection

from predictions import exports, leases, outcomes, turns
from predictions.leases import ChunkClaim, Claim, VectorClaim
from predictions.limits import EXIT_CODE_TIME_LIMIT, limits_of
from predictions.models import State
from predictions.outcomes import Ending
from predictions.worker import last_resort

log = logging.getLogger(__name__)
SHORTEST_PAUSE_S = 0.5


class Beat:
    """What is held now, and when its time is over. `hold` and `drop` are called by the thread that works."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, object, int], tuple[Claim, float]] = {}
        self._lost: set[tuple[str, object, int]] = set()
        self._lock = threading.Lock()

    def start(self) -> None:
        threading.Thread(target=self._run, name="beat", daemon=True).start()

    def hold(self, *claims: Claim) -> None:
        with self._lock:
            now = time.monotonic()
            self._held |= {claim.key: (claim, now + limits_of(claim.queue).hard_s) for claim in claims}
            self._set_last_resort()

    def drop(self, *claims: Claim) -> None:
        with self._lock:
            for claim in claims:
                self._held.pop(claim.key, None)
                self._lost.discard(claim.key)
            self._set_last_resort()

    def _set_last_resort(self) -> None:
        if self._held:
            last_resort.arm(self._next_limit_at())
        else:
            last_resort.disarm()

    def _next_limit_at(self) -> float:
        """When the first of what is held must have ended. The lock is held."""
        return min((limit_at for _, limit_at in self._held.values()), default=math.inf)

    def is_lost(self, claim: Claim) -> bool:
        """The lease is gone: somebody else has the work, or nobody may do it."""
        return claim.key in self._lost

    def _run(self) -> None:
        while True:
            time.sleep(self._pause_s())
            try:
                self._beat()
            except Exception:  # the next beat tries again; if the lease lapses meanwhile, the fence holds
                log.exception("The leases could not be renewed")
                connection.close()

    def _pause_s(self) -> float:
        """Until the next beat, or to the second when a limit comes before it."""
        with self._lock:
            to_limit_s = self._next_limit_at() - time.monotonic()
        return min(leases.BEAT_EVERY_S, max(SHORTEST_PAUSE_S, to_limit_s))

    def _beat(self) -> None:
        with self._lock:
            held = list(self._held.values())
        if not held:
            return
        for claim, limit_at in held:
            if time.monotonic() > limit_at:
                self._end_process_over(claim)
        still = leases.renew(claim for claim, _ in held)
        with self._lock:
            self._lost |= {claim.key for claim, _ in held if claim.key not in still and claim.key in self._held}

    def _end_process_over(self, claim: Claim) -> None:
        """Fail it by its attempt, then end this process at once, unless it came to its end meanwhile after all.

        Of several that are scored together nobody knows which it is: they lapse, and each is scored alone.
        While the database is away each beat tries again, until the last resort ends the process; then the lease lapses.
        """
        if len(self._held) == 1:
            fail_over_limit(claim)
        with self._lock:
            if claim.key in self._held:
                os._exit(EXIT_CODE_TIME_LIMIT)


def fail_over_limit(claim: Claim) -> None:
    """The hard time limit, in the words that the job shows."""
    limit_s = limits_of(claim.queue).hard_s
    message = f"The work did not end within {limit_s} s, the time limit. The worker was started anew."
    error = {"code": "time_limit", "message": message}
    log.error("%s %s", claim.job_id, message)
    if isinstance(claim, VectorClaim):
        outcomes.finish(claim.job_id, claim.attempt, Ending(State.FAILED, error=error))
    elif isinstance(claim, ChunkClaim):
        turns.fail_by(claim, error)
    else:
        exports.fail(claim, message)


beat = Beat()

"""Says between two blocks of a part whether to go on: the lease is kept, the job goes on, its time is not used up."""

from __future__ import annotations

import time
from functools import partial

from predictions import chunk_rows
from predictions.leases import ChunkClaim
from predictions.limits import limits_of
from predictions.worker.beat import beat
from predictions.worker.insisting import insist

ASK_EVERY_S = 0.05
"""A block takes less, and the question costs a statement."""


class Watch:
    """Over one chunk, from its begin. is_overworked: the soft time limit is why it must stop.

    What other workers have in hand meanwhile is not yet counted: the limit holds to within their chunks.
    """

    def __init__(self, claim: ChunkClaim) -> None:
        self.is_overworked = False
        self._claim = claim
        self._begun = time.monotonic()
        self._asked_at = float("-inf")

    def worked_s(self) -> float:
        return time.monotonic() - self._begun

    def must_stop(self) -> bool:
        if beat.is_lost(self._claim):
            return True
        if time.monotonic() - self._asked_at < ASK_EVERY_S:
            return False
        self._asked_at = time.monotonic()
        spent_s = insist(partial(chunk_rows.spent_if_going_on, self._claim.job_id))
        limits = limits_of(self._claim.queue)
        self.is_overworked = spent_s is not None and limits.is_overworked(spent_s + self.worked_s())
        return spent_s is None or self.is_overworked

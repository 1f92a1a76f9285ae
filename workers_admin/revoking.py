"""Revokes the jobs that were selected, each on its own, and says what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from predictions import revocation
from predictions.errors import WrongState
from predictions.models import Job

OUTCOMES = NEVER_STARTED, STOPPING, STOPPED, HAD_ENDED = "never started", "stopping", "stopped", "had already ended"


def revoke_many(jobs: Iterable[Job], by: Any, address: str | None = None) -> str:
    """As in "12 never started, 3 stopping, 2 had already ended"."""
    counts = Counter(_revoke(job, by, address) for job in jobs)
    return ", ".join(f"{counts[outcome]:,} {outcome}" for outcome in OUTCOMES if counts[outcome])


def _revoke(job: Job, by: Any, address: str | None) -> str:
    try:
        now = revocation.revoke(job, by, address)
    except WrongState:
        return HAD_ENDED
    if not now.has_ended:
        return STOPPING
    return STOPPED if now.started else NEVER_STARTED

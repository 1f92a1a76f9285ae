"""What a worker does with work that comes back after it was taken from it: nothing is kept, and it is counted."""

from __future__ import annotations

import logging
from functools import partial

from predictions.leases import ChunkClaim, Claim
from predictions.models import Job, note
from predictions.vitals import vitals
from predictions.worker.insisting import insist

log = logging.getLogger(__name__)


def count(claim: Claim) -> None:
    """A result that was refused: its attempt no longer holds the work."""
    vitals.fenced += 1
    vitals.changed.set()
    log.warning("%s: attempt %d was fenced off; its result was refused", claim.job_id, claim.attempt)
    insist(partial(_note, claim))


def _note(claim: Claim) -> None:
    """The job may be gone from the history."""
    if Job.objects.filter(pk=claim.job_id).exists():
        what = f"attempt {claim.attempt}" + (
            f" at part {claim.chunk.number + 1}" if isinstance(claim, ChunkClaim) else ""
        )
        note(claim.job, f"{vitals.name} came back with {what} after it had been taken from it; its result was refused")

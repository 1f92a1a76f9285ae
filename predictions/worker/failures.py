"""What an exception in the worker means for the job: retried, or ended with a sentence."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from predictions import recovery
from predictions.errors import NonFiniteOutput, Refused
from predictions.leases import VectorClaim
from predictions.models import State
from predictions.outcomes import Ending

log = logging.getLogger(__name__)


def is_of_device(error: Exception) -> bool:
    """torch raises RuntimeError for what the device does; what the input caused was refused before."""
    return type(error) is RuntimeError or isinstance(error, MemoryError) or type(error).__module__.startswith("torch")


@dataclass(frozen=True)
class Meaning:
    """What a kind of error is called, and whether another try may do better."""

    holds: Callable[[Exception], bool]
    code: str
    is_retried: bool


# The first that holds; the input's own faults keep their code and are never retried.
MEANINGS = (
    Meaning(lambda error: isinstance(error, NonFiniteOutput), "non_finite_output", False),
    Meaning(lambda error: isinstance(error, OSError), "storage_error", True),
    Meaning(is_of_device, "device_error", True),
    Meaning(lambda error: True, "worker_error", False),
)


def is_retried(error: Exception) -> bool:
    return not isinstance(error, Refused) and _meaning_of(error).is_retried


def reason(error: Exception) -> str:
    """The error in one line. Out of memory, Python itself says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def ending_of(error: Exception) -> Ending:
    """The input's faults keep their own sentence; anything else is ours, and staff see the traceback."""
    if isinstance(error, Refused):
        return Ending(State.FAILED, error=error.as_json())
    trace = "".join(traceback.format_exception(error))
    return Ending(State.FAILED, error={"code": _meaning_of(error).code, "message": reason(error)}, traceback=trace)


def may_retry(claim: VectorClaim, error: Exception) -> bool:
    if not is_retried(error):
        return False
    log.warning("%s: %s", claim.job_id, error)
    return recovery.retry_later(
        claim.job_id, claim.attempt, f"{type(error).__name__} on {claim.worker}: {reason(error)}"[:300]
    )


def _meaning_of(error: Exception) -> Meaning:
    return next(meaning for meaning in MEANINGS if meaning.holds(error))

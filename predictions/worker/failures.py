"""What an exception in the worker means for the job: retried, or ended with a sentence."""

from __future__ import annotations

import logging
import traceback

from predictions import recovery
from predictions.errors import NonFiniteOutput, Refused
from predictions.leases import Claim
from predictions.models import State
from predictions.outcomes import Ending

log = logging.getLogger(__name__)


def ending_of(error: Exception) -> Ending:
    """The input's faults keep their own sentence; anything else is ours, and staff see the traceback."""
    trace = "".join(traceback.format_exception(error))
    if isinstance(error, Refused):
        return Ending(State.FAILED, error=error.as_json())
    code = (
        "non_finite_output"
        if isinstance(error, NonFiniteOutput)
        else "device_error"
        if is_of_device(error)
        else "worker_error"
    )
    sentence = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
    return Ending(State.FAILED, error={"code": code, "message": sentence}, traceback=trace)


def is_of_device(error: Exception) -> bool:
    """torch raises RuntimeError for what the device does; what the input caused was refused before."""
    return type(error) is RuntimeError or type(error).__module__.startswith("torch")


def may_retry(claim: Claim, error: Exception) -> bool:
    if not is_of_device(error):
        return False
    log.warning("%s: %s", claim.job.pk, error)
    return recovery.retry_later(
        claim.job, claim.attempt, f"{type(error).__name__} on {claim.job.worker}: {error}"[:300]
    )

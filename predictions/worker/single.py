"""A vector job from its claim to its outcome."""

from __future__ import annotations

import logging

from predictions import outcomes
from predictions.leases import Claim
from predictions.models import State
from predictions.outcomes import Ending
from predictions.vitals import vitals
from predictions.worker import failures
from predictions.worker.beat import beat
from predictions.worker.runtime import Model
from predictions.worker.scoring import predict_one

log = logging.getLogger(__name__)


def work_on(claim: Claim, vector: list[float], model: Model) -> None:
    vitals.begin(str(claim.job.pk))
    beat.hold(claim)
    failed = False
    try:
        ending = Ending(State.SUCCEEDED, result=predict_one(model, vector))
    except Exception as error:  # one job's fault must not end the worker
        if failures.may_retry(claim, error):
            return
        ending, failed = failures.ending_of(error), True
    finally:
        beat.drop(claim)
        vitals.end(rows=1, failed=failed)
    if outcomes.finish(claim.job.pk, claim.attempt, ending, done=int(not failed)) is None:
        log.warning("%s: attempt %d was fenced off; its outcome was not written", claim.job.pk, claim.attempt)

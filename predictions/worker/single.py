"""A vector job from its claim to its outcome."""

from __future__ import annotations

from functools import partial

from predictions import outcomes
from predictions.leases import Claim
from predictions.models import State
from predictions.outcomes import Ending
from predictions.vitals import vitals
from predictions.worker import failures, refusals
from predictions.worker.beat import beat
from predictions.worker.insisting import insist
from predictions.worker.runtime import Model
from predictions.worker.scoring import predict_one


def work_on(claim: Claim, vector: list[float], model: Model) -> None:
    """The lease is kept until the outcome is written, however long the database is away."""
    vitals.begin(str(claim.job.pk))
    failed = False
    try:
        beat.hold(claim)
        ending = _score(claim, vector, model)
        if ending is None:
            return
        failed = ending.state == State.FAILED
        written = insist(partial(outcomes.finish, claim.job.pk, claim.attempt, ending, done=int(not failed)))
        if written is None:
            refusals.count(claim)
    finally:
        beat.drop(claim)
        vitals.end(rows=1, failed=failed)


def _score(claim: Claim, vector: list[float], model: Model) -> Ending | None:
    """None where it is tried again later."""
    try:
        return Ending(State.SUCCEEDED, result=predict_one(model, vector))
    except Exception as error:  # one job's fault must not end the worker
        return None if insist(partial(failures.may_retry, claim, error)) else failures.ending_of(error)

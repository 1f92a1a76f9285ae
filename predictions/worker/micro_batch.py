"""Vectors that wait are scored together: one claim, one forward pass, one transaction. What fails, fails alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import numpy as np
from django.db import DataError, IntegrityError

from predictions import leases, outcomes, pausing
from predictions.leases import VectorClaim
from predictions.models import State
from predictions.outcomes import Ending
from predictions.vitals import vitals
from predictions.worker import failures, lifecycle, refusals, serving
from predictions.worker.beat import beat
from predictions.worker.insisting import insist
from predictions.worker.runtime import Model
from predictions.worker.scoring import predict, predict_one

Prediction = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """A message's vector (width,) and its job."""

    job_id: UUID
    vector: list[float]


def work_on(requests: Sequence[Request], ref: str) -> set[UUID]:
    """From the claim to the outcomes, for one model. What cannot be claimed is somebody else's, or nobody's: forgotten.

    Returns those that were revoked before.
    """
    vectors = {request.job_id: request.vector for request in requests}  # the same job twice is one job
    model = lifecycle.model_or_postpone(ref, list(vectors))
    if model is None:
        return set()
    claims = insist(partial(leases.claim_jobs, list(vectors), vitals.name))
    score(claims, vectors, model)
    left = vectors.keys() - {claim.job_id for claim in claims}
    if not left:
        return set()
    alone = _score_alone(left, vectors, model)
    serving.leave_to_resume(partial(pausing.put_back_jobs, left))
    return insist(partial(leases.revoked_of, left - alone))


def _score_alone(left: set[UUID], vectors: dict[UUID, list[float]], model: Model) -> set[UUID]:
    """What a worker has died on, one after another; returns which they were."""
    alone = insist(partial(leases.claimable_alone, left))
    for job_id in alone:
        score(insist(partial(leases.claim_jobs, [job_id], vitals.name)), vectors, model)
    return set(alone)


def score(claims: Sequence[VectorClaim], vectors: dict[UUID, list[float]], model: Model) -> None:
    """The leases are kept until the outcomes are written, however long the database is away."""
    if not claims:
        return
    vitals.begin(str(claims[0].job_id))
    failed = 0
    try:
        beat.hold(*claims)
        results = _predictions([vectors[claim.job_id] for claim in claims], model)
        scored = [(claim, result) for claim, result in zip(claims, results, strict=True)]
        _succeed([(claim, result) for claim, result in scored if not isinstance(result, Exception)])
        failed = sum(_fail(claim, result) for claim, result in scored if isinstance(result, Exception))
    finally:
        beat.drop(*claims)
        vitals.worked_on(*(str(claim.job_id) for claim in claims))
        vitals.end(rows=len(claims), jobs=len(claims), failed=failed)


def _predictions(vectors: list[list[float]], model: Model) -> list[Prediction | Exception]:
    """In one pass; where that fails, each on its own, to tell which it was."""
    begun = time.perf_counter()
    try:
        return [*predict(model, np.asarray(vectors, dtype=np.float32))]
    except Exception as error:  # one job's fault must not end the worker
        return [error] if len(vectors) == 1 else [_prediction(vector, model) for vector in vectors]
    finally:
        vitals.passed(len(vectors), time.perf_counter() - begun)


def _prediction(vector: list[float], model: Model) -> Prediction | Exception:
    try:
        return predict_one(model, vector)
    except Exception as error:
        return error


def _succeed(scored: list[tuple[VectorClaim, Prediction]]) -> None:
    try:
        ended = insist(partial(outcomes.succeed_together, scored))
    except (IntegrityError, DataError):
        ended = set()
    for claim, result in scored:
        if claim.job_id not in ended:
            _end(claim, Ending(State.SUCCEEDED, result=result))


def _fail(claim: VectorClaim, error: Exception) -> bool:
    """False where it is tried again later."""
    if insist(partial(failures.may_retry, claim, error)):
        return False
    _end(claim, failures.ending_of(error))
    return True


def _end(claim: VectorClaim, ending: Ending) -> None:
    """On its own."""
    done = int(ending.state == State.SUCCEEDED)
    if insist(partial(outcomes.finish, claim.job_id, claim.attempt, ending, done=done)) is None:
        refusals.count(claim)

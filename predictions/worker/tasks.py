"""The Celery tasks: a message is a hint that work may be due; the database says whether it is."""

from __future__ import annotations

import time
from uuid import UUID

from celery import Task, shared_task

from predictions import dispatch, leases, turns
from predictions.models import State
from predictions.vitals import vitals
from predictions.worker import lifecycle, part, single

TURN_S = 1.0


@shared_task(name=dispatch.PREDICT, bind=True)
def predict(task: Task, vector: list[float], ref: str) -> None:
    """One vector job. Its id is the task's id."""
    job_id = UUID(task.request.id)
    model = lifecycle.model_or_postpone(ref, job_id)
    claim = leases.claim_job(job_id, vitals.name) if model else None
    if model and claim:
        single.work_on(claim, vector, model)


@shared_task(name=dispatch.SCORE_CHUNK)
def score_chunk(job_id: str, chunk_id: int, attempt: int, ref: str) -> None:
    """A turn of a batch: chunks one after another for about a second, then the next message; so owners take turns.

    A message whose attempt has gone by finds nothing to claim and sends nothing.
    """
    model = lifecycle.model_or_postpone(ref, UUID(job_id))
    claim = leases.claim_chunk(UUID(job_id), chunk_id, attempt, vitals.name) if model else None
    ends = time.monotonic() + TURN_S
    while model and claim:
        if part.work_on(claim, model) != State.RUNNING:
            return
        following = turns.next_chunk(claim.job.pk)
        if following is None:
            return
        if time.monotonic() > ends:
            dispatch.publish_soon([following, *turns.reserve(claim.job.pk)])
            return
        claim = leases.claim_chunk(claim.job.pk, following.chunk_id or 0, following.attempt, vitals.name)

"""The Celery tasks: a message is a hint that work may be due; the database says whether it is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

from celery import shared_task

from predictions import dispatch, leases, pausing, turns
from predictions.models import State
from predictions.turns import Turn
from predictions.vitals import vitals
from predictions.worker import export, lifecycle, micro_batch, part, serving
from predictions.worker.insisting import insist
from predictions.worker.micro_batch import Request
from predictions.worker.together import TogetherTask, is_settled


class Predict(TogetherTask):
    """What waits for the same model is scored in one pass."""

    def group_of(self, task_id: str, args: Sequence[Any]) -> str | None:
        """The model's ref. A stranger's message may be anything: it fails alone."""
        return str(args[1]) if len(args) == 2 and _is_uuid(task_id) else None

    def work_together(self, messages: Sequence[tuple[str, Sequence[Any]]]) -> set[str]:
        requests = [Request(UUID(task_id), args[0]) for task_id, args in messages]
        return {str(job_id) for job_id in micro_batch.work_on(requests, str(messages[0][1][1]))}


@shared_task(name=dispatch.PREDICT, bind=True, base=Predict)
def predict(task: Predict, vector: list[float], ref: str) -> None:
    """One vector job; its id is the task's id. In our own pool it was worked on before, with its neighbours."""
    if not is_settled(task.request):
        task.work_together([(task.request.id, (vector, ref))])


@shared_task(name=dispatch.SCORE_CHUNK)
def score_chunk(job_id: str, chunk_id: int, attempt: int, ref: str) -> None:
    """A turn of a batch: chunks one after another for about a second, then the next message; so owners take turns.

    A message whose attempt has gone by finds nothing to claim and sends nothing.
    """
    model = lifecycle.model_or_postpone(ref, [UUID(job_id)])
    claim = insist(partial(leases.claim_chunk, UUID(job_id), chunk_id, attempt, vitals.name)) if model else None
    if model and claim is None:
        serving.leave_to_resume(partial(pausing.put_back_chunk, chunk_id, attempt))
    turn, state = Turn(vitals.name), None
    while model and claim:
        state = part.work_on(claim, model, turn)
        claim, turn.claim = turn.claim, None
    if state == State.RUNNING:
        dispatch.publish_soon(insist(partial(turns.reserve, UUID(job_id))))


@shared_task(name=dispatch.EXPORT)
def make_export(job_id: str, export_id: int, attempt: int, ref: str) -> None:
    """A result's file in another format, whole; a message whose attempt has gone by finds nothing to claim."""
    model = lifecycle.model_or_postpone(ref, [UUID(job_id)])
    claim = insist(partial(leases.claim_export, UUID(job_id), export_id, attempt, vitals.name)) if model else None
    if model and claim:
        export.work_on(claim, model)
    elif model:
        serving.leave_to_resume(partial(pausing.put_back_export, export_id, attempt))


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True

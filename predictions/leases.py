"""Who may work on what: claims, and the leases that keep them. Every claim is fenced by its attempt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce, Now

from predictions.clock import Clock
from predictions.live import say
from predictions.models import Chunk, Job, State
from predictions.row_locks import despite_deadlocks, in_id_order

LEASE_S = 9.0
BEAT_EVERY_S = 3.0
Key = tuple[str, object, int]


@dataclass(frozen=True)
class Claim:
    """What a worker holds: a job, or one chunk of it. Past its lease it holds nothing."""

    job: Job
    attempt: int
    chunk: Chunk | None = None

    @property
    def key(self) -> Key:
        return ("chunk", self.chunk.pk, self.attempt) if self.chunk else ("job", self.job.pk, self.attempt)


def claim_job(job_id: UUID, worker: str) -> Claim | None:
    """A queued, due vector job becomes ours, or None: somebody else has it, or nobody may."""
    with transaction.atomic():
        mine = Job.objects.filter(pk=job_id, state=State.QUEUED, revoke_requested=False, run_after__lte=Clock())
        if not mine.change(
            state=State.RUNNING,
            attempt=F("attempt") + 1,
            worker=worker,
            lease_until=Clock() + LEASE_S,
            publish_at=None,
            started=Coalesce(F("started"), Now()),
        ):
            return None
        job = Job.objects.get(pk=job_id)
    say.jobs_changed([job_id])
    return Claim(job, job.attempt)


def claim_chunk(job_id: UUID, chunk_id: int, attempt: int, worker: str) -> Claim | None:
    """The chunk that a message names becomes ours if the message is the one that is awaited."""
    with transaction.atomic():
        starts = Job.objects.filter(
            pk=job_id, state=State.QUEUED, revoke_requested=False, run_after__lte=Clock()
        ).change(
            state=State.RUNNING,
            attempt=F("attempt") + 1,
            worker=worker,
            publish_at=None,
            started=Coalesce(F("started"), Now()),
        )
        job = Job.objects.select_for_update().filter(pk=job_id, state=State.RUNNING, revoke_requested=False).first()
        reserved = Chunk.objects.filter(pk=chunk_id, job_id=job_id, state=Chunk.State.RESERVED, attempt=attempt)
        if job is None or not reserved.update(
            state=Chunk.State.RUNNING,
            attempt=F("attempt") + 1,
            worker=worker,
            lease_until=Clock() + LEASE_S,
            publish_at=None,
        ):
            transaction.set_rollback(True)
            return None
        chunk = Chunk.objects.get(pk=chunk_id)
    if starts:
        say.jobs_changed([job_id])
    return Claim(job, chunk.attempt, chunk)


def renew(claims: Iterable[Claim]) -> set[Key]:
    """Push the leases of `claims`; returns the keys of those still ours.

    By (id, attempt), never by worker name: a claim whose reply was lost must not be renewed for ever.
    """
    held = list(claims)
    jobs = {claim.key: claim.job.pk for claim in held if claim.chunk is None}
    chunks = {claim.key: claim.chunk.pk for claim in held if claim.chunk}
    return _renew(Job.objects.filter(state=State.RUNNING), jobs) | _renew(
        Chunk.objects.filter(state=Chunk.State.RUNNING), chunks
    )


def _renew(running: QuerySet[Any], held: dict[Key, Any]) -> set[Key]:
    """One UPDATE for all; only where it missed some they are told apart."""
    if not held:
        return set()
    mine = running.filter(reduce(or_, (Q(pk=pk, attempt=key[2]) for key, pk in held.items())))

    def push() -> set[Key]:
        with transaction.atomic():
            if in_id_order(mine).update(lease_until=Clock() + LEASE_S) == len(held):
                return set(held)
            still = set(mine.values_list("pk", "attempt"))
        return {key for key, pk in held.items() if (pk, key[2]) in still}

    return despite_deadlocks(push)


def spent_so_far(job_id: UUID) -> float | None:
    """Seconds worked on a job by its finished chunks; None where it is to stop or has ended. Asked between two blocks."""
    going_on = Job.objects.filter(pk=job_id, state=State.RUNNING, revoke_requested=False)
    return going_on.values_list("spent_s", flat=True).first()

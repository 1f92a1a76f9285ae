"""Who may work on what: claims, and the leases that keep them. Every claim is fenced by its attempt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from predictions.clock import Clock
from predictions.live import say
from predictions.models import Chunk, Job, State

LEASE_S = 9.0
BEAT_EVERY_S = 3.0


@dataclass(frozen=True)
class Claim:
    """What a worker holds: a job, or one chunk of it. Past its lease it holds nothing."""

    job: Job
    attempt: int
    chunk: Chunk | None = None

    @property
    def key(self) -> tuple[str, object, int]:
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


def renew(claims: Iterable[Claim]) -> tuple[set[tuple[str, object, int]], set[UUID]]:
    """Push the leases of `claims`; returns (the keys of those still ours, the jobs whose revocation was asked).

    By (id, attempt), never by worker name: a claim whose reply was lost must not be renewed for ever.
    """
    still: set[tuple[str, object, int]] = set()
    revoked: set[UUID] = set()
    for claim in sorted(claims, key=lambda held: str(held.key)):
        if _renew_one(claim):
            still.add(claim.key)
        if Job.objects.filter(pk=claim.job.pk, revoke_requested=True).exists():
            revoked.add(claim.job.pk)
    return still, revoked


def _renew_one(claim: Claim) -> bool:
    if claim.chunk:
        mine = Chunk.objects.filter(pk=claim.chunk.pk, attempt=claim.attempt, state=Chunk.State.RUNNING)
        return mine.update(lease_until=Clock() + LEASE_S) == 1
    held = Job.objects.filter(pk=claim.job.pk, attempt=claim.attempt, state=State.RUNNING)
    return held.update(lease_until=Clock() + LEASE_S) == 1


def is_revoked(job_id: UUID) -> bool:
    """Asked between two blocks."""
    return Job.objects.filter(pk=job_id, revoke_requested=True).exists()

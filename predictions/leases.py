"""Who may work on what: claims, and the leases that keep them. Every claim is fenced by its attempt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from predictions import chunk_rows, clock
from predictions.clock import Clock
from predictions.live import say
from predictions.models import Chunk, Export, Job, State
from predictions.pauses import not_paused_sql, paused
from predictions.queues import DEFAULT, REALTIME
from predictions.row_locks import db_id, despite_deadlocks, in_id_order, jobs_sql
from predictions.syncing import without_waiting_for_the_disk

LEASE_S = 9.0
BEAT_EVERY_S = 3.0
Key = tuple[str, object, int]


@dataclass(frozen=True)
class ChunkClaim:
    """A chunk of a batch that a worker holds. Past its lease it holds nothing."""

    job: Job
    attempt: int
    chunk: Chunk

    @property
    def key(self) -> Key:
        return "chunk", self.chunk.pk, self.attempt

    @property
    def job_id(self) -> UUID:
        return self.job.pk

    @property
    def queue(self) -> str:
        return self.job.queue


@dataclass(frozen=True)
class VectorClaim:
    """A vector job that a worker holds. created, started: as the database keeps times."""

    job_id: UUID
    attempt: int
    queue: str = REALTIME
    owner_id: int = 0
    version: int = 0
    store: bool = True
    worker: str = ""
    created: Any = None
    started: Any = None

    @property
    def key(self) -> Key:
        return "job", self.job_id, self.attempt

    @cached_property
    def job(self) -> Job:
        """Its row, for what seldom happens to it."""
        return Job.objects.get(pk=self.job_id)


@dataclass(frozen=True)
class ExportClaim:
    """A file to be made of a result, that a worker holds. Past its lease it holds nothing."""

    job: Job
    attempt: int
    export_id: int
    queue: str = DEFAULT

    @property
    def key(self) -> Key:
        return "export", self.export_id, self.attempt

    @property
    def job_id(self) -> UUID:
        return self.job.pk


Claim = VectorClaim | ChunkClaim | ExportClaim
HELD_IN: dict[str, type[Job | Chunk | Export]] = {"job": Job, "chunk": Chunk, "export": Export}
"""Whose row a claim's key names. A row that somebody works on is `running`, whatever it is."""


def claim_job(job_id: UUID, worker: str) -> VectorClaim | None:
    """A queued, due vector job becomes ours, or None: somebody else has it, or nobody may."""
    return next(iter(claim_jobs([job_id], worker)), None)


def claim_jobs(job_ids: Sequence[UUID], worker: str) -> list[VectorClaim]:
    """Those of these vector jobs that became ours, by one UPDATE. Of several, none that a worker died on.

    Such a job is claimed alone: otherwise one poison vector would take its neighbours along until all look poisonous.
    """
    ids = {db_id(job_id): job_id for job_id in job_ids}
    with without_waiting_for_the_disk(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_claim_sql(len(ids)), [worker, LEASE_S, *ids])
        rows = cursor.fetchall()
    claims = [
        VectorClaim(ids[key], attempt, queue, owner_id, version, bool(store), worker, created, started)
        for key, attempt, queue, owner_id, version, store, created, started in rows
    ]
    say.news([[str(claim.job_id), claim.version, claim.owner_id, "running", 0] for claim in claims])
    return claims


def claimable_alone(job_ids: Iterable[UUID]) -> list[UUID]:
    """Those that a worker has died on."""
    crashed = Job.objects.filter(pk__in=list(job_ids), state=State.QUEUED, crashes__gt=0)
    return list(crashed.values_list("pk", flat=True))


def revoked_of(job_ids: Iterable[UUID]) -> set[UUID]:
    return set(Job.objects.filter(pk__in=list(job_ids), state=State.REVOKED).values_list("pk", flat=True))


def _claim_sql(count: int) -> str:
    """Plain SQL: the ORM's way is an UPDATE and a SELECT, at three times the price (docs/performance.md)."""
    return f"""UPDATE predictions_job
        SET state = 'running', attempt = attempt + 1, worker = %s, lease_until = {clock.now_sql()} + %s,
            publish_at = NULL, started = COALESCE(started, {clock.moment_sql()}), version = version + 1
        WHERE {jobs_sql(count)} AND kind = 'realtime' AND state = 'queued' AND NOT revoke_requested
            AND run_after <= {clock.now_sql()} AND {not_paused_sql()} {"" if count == 1 else "AND crashes = 0"}
        RETURNING id, attempt, queue, owner_id, version, store, created, started"""  # noqa: S608  our own names


def claim_chunk(job_id: UUID, chunk_id: int, attempt: int, worker: str) -> ChunkClaim | None:
    """The chunk that a message names becomes ours if the message is the one that is awaited."""
    with without_waiting_for_the_disk(), transaction.atomic():
        starts = chunk_rows.begin_job(job_id, worker)
        job = Job.objects.select_for_update().filter(pk=job_id, state=State.RUNNING, revoke_requested=False).first()
        chunk = chunk_rows.claim_reserved(job_id, chunk_id, attempt, worker, LEASE_S) if job else None
        if job is None or chunk is None:
            transaction.set_rollback(True)
            return None
        if starts:
            say.news([[str(job_id), job.version, job.owner_id, State.RUNNING.value, job.done]])
    return ChunkClaim(job, chunk.attempt, chunk)


def claim_export(job_id: UUID, export_id: int, attempt: int, worker: str) -> ExportClaim | None:
    """The export that a message names becomes ours if the message is the one that is awaited, and the result is there."""
    with transaction.atomic():
        job = Job.objects.select_for_update().filter(pk=job_id, expires__isnull=False).first()
        awaited = Export.objects.filter(pk=export_id, job_id=job_id, state=Export.State.QUEUED, attempt=attempt)
        taken = {"state": Export.State.RUNNING, "attempt": attempt + 1, "worker": worker, "publish_at": None}
        if job is None or not awaited.filter(~paused(DEFAULT)).update(lease_until=Clock() + LEASE_S, **taken):
            return None
    say.jobs_changed([job_id])
    return ExportClaim(job, attempt + 1, export_id)


def renew(claims: Iterable[Claim]) -> set[Key]:
    """Push the leases of `claims`; returns the keys of those still ours.

    By (id, attempt), never by worker name: a claim whose reply was lost must not be renewed for ever.
    """
    held = [claim.key for claim in claims]
    ours = set[Key]()
    for what, model in HELD_IN.items():
        running = model._default_manager.filter(state=State.RUNNING)
        ours |= _renew(running, [key for key in held if key[0] == what])
    return ours


def _renew(running: QuerySet[Any], held: list[Key]) -> set[Key]:
    """One UPDATE for all; only where it missed some they are told apart."""
    if not held:
        return set()
    mine = running.filter(reduce(or_, (Q(pk=pk, attempt=attempt) for _, pk, attempt in held)))

    def push() -> set[Key]:
        with transaction.atomic():
            if in_id_order(mine).update(lease_until=Clock() + LEASE_S) == len(held):
                return set(held)
            still = set(mine.values_list("pk", "attempt"))
        return {key for key in held if key[1:] in still}

    return despite_deadlocks(push)

"""Accepts jobs: the row is committed before anybody is answered, and published after."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from predictions import dispatch, group_commit, rates, turns
from predictions.db_threads import in_broker_thread
from predictions.errors import InvalidInput, KeyReused, WrongState
from predictions.fresh import FreshJob
from predictions.group_commit import Accepted
from predictions.live import say
from predictions.model_cards import ModelCard
from predictions.models import Chunk, Job, Kind, Upload, new_id, utc_now
from predictions.parts import Part, Plan
from predictions.queues import BATCH, DEFAULT_PRIORITY, REALTIME


@dataclass(frozen=True)
class Wishes:
    """What a submitter may choose. idempotency: (the key, a hash of the request)."""

    priority: int | None = None
    store: bool = True
    on_bad_row: str = "reject"
    source: str = "api"
    idempotency: tuple[str, str] | None = None


def request_hash(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def submit_vector(owner: Any, vector: list[float], card: ModelCard, wishes: Wishes) -> tuple[Job, bool]:
    """The job, and whether an idempotency key gave an earlier one again. vector: (width,), already judged."""
    rates.check(owner.pk)
    accepted = group_commit.accept(_vector_job(owner, vector, card, wishes))
    return _in_full(accepted.job), accepted.is_replayed


async def submit_vector_soon(
    owner: Any, vector: list[float], card: ModelCard, wishes: Wishes, job_id: UUID, wants_position: bool = False
) -> Accepted:
    """The same for async code: written together with those that arrive meanwhile.

    job_id: for who wants to listen for its end before it is published.
    """
    if rates.are_limited():
        await in_broker_thread(rates.check, owner.pk)
    job = _vector_job(owner, vector, card, wishes)
    job.id = job_id
    return await group_commit.accept_soon(job, wants_position)


def submit_batch(owner: Any, upload: Upload, wishes: Wishes, job_id: UUID | None = None) -> tuple[Job, bool]:
    """A batch over an upload that is complete; its chunks are the upload's parts.

    job_id: for who wants to listen for its end before it is published.
    """
    rates.check(owner.pk)
    plan = Plan.from_json(upload.plan)
    sizes = {"total": plan.rows, "chunks": len(plan.parts), "notes": list(plan.notes)}
    same = {"upload": upload, "file_name": upload.file_name, "id": job_id or new_id()}
    return _accept(
        _batch_job(owner, upload.model, wishes, **same, **sizes), [_chunk_of(part) for part in plan.parts], wishes
    )


def retry(job: Job, by: Any, source: str = "api") -> Job:
    """A new job on the same stored input, linked by retry_of."""
    if not job.has_ended:
        raise WrongState(f"The job is {job.status}. Only a job that has ended can be retried.")
    if job.kind == Kind.BATCH and (job.upload is None or job.upload.state != Upload.State.DONE):
        raise WrongState("The job's input is no longer kept. Submit the file again.")
    if job.kind == Kind.REALTIME:
        rates.check(by.pk)
        assert job.vector is not None
        wishes = Wishes(priority=job.priority, store=job.store, on_bad_row=job.on_bad_row, source=source)
        fresh = _fresh_job(job.owner_id, job.vector, job.model, wishes)
        fresh.retry_of_id = job.pk
        return _in_full(group_commit.accept(fresh).job)
    return submit_chunks(job, [copy_of(chunk) for chunk in job.parts.order_by("number")], by, source, job.notes)


def submit_chunks(of: Job, chunks: list[Chunk], by: Any, source: str, notes: list[str], is_rest: bool = False) -> Job:
    """A batch linked to `of`, with its wishes and over its upload, of these chunks."""
    rates.check(by.pk)
    wishes = Wishes(priority=of.priority, store=of.store, on_bad_row=of.on_bad_row, source=source)
    sizes = {"total": sum(chunk.rows for chunk in chunks), "chunks": len(chunks)}
    same = {"upload": of.upload, "file_name": of.file_name, "notes": notes}
    return _accept(
        _batch_job(of.owner, of.model, wishes, retry_of=of, is_rest=is_rest, **same, **sizes), chunks, wishes
    )[0]


def copy_of(chunk: Chunk) -> Chunk:
    """The same rows for another job, which nobody has done yet."""
    places = {name: getattr(chunk, name) for name in ("number", "first_row", "first_line", "rows", "start")}
    return Chunk(**places)


def _vector_job(owner: Any, vector: list[float], card: ModelCard, wishes: Wishes) -> FreshJob:
    return _fresh_job(owner.pk, vector, card.ref, wishes)


def _fresh_job(owner_id: int, vector: list[float], model: str, wishes: Wishes) -> FreshJob:
    priority = DEFAULT_PRIORITY[REALTIME] if wishes.priority is None else wishes.priority
    key, body_hash = wishes.idempotency or (None, "")
    return FreshJob(owner_id, model, vector, priority, wishes.source, wishes.store, wishes.on_bad_row, key, body_hash)


def _in_full(job: Job | FreshJob) -> Job:
    return job.as_job() if isinstance(job, FreshJob) else job


def _batch_job(owner: Any, model: str, wishes: Wishes, **more: Any) -> Job:
    key, body_hash = wishes.idempotency or (None, "")
    return Job(
        owner=owner,
        kind=Kind.BATCH,
        model=model,
        queue=BATCH,
        priority=DEFAULT_PRIORITY[BATCH] if wishes.priority is None else wishes.priority,
        source=wishes.source,
        store=wishes.store,
        on_bad_row=wishes.on_bad_row,
        idempotency_key=key,
        request_hash=body_hash,
        created=utc_now(),
        **more,
    )


def _chunk_of(part: Part) -> Chunk:
    return Chunk(number=part.number, first_row=part.first_row, first_line=part.first_line, rows=part.rows)


def _accept(job: Job, chunks: list[Chunk], wishes: Wishes) -> tuple[Job, bool]:
    """A batch: INSERT and commit; then publish. Losing to the same idempotency key is an answer, not an error."""
    with transaction.atomic():
        Job.objects.bulk_create([job], ignore_conflicts=wishes.idempotency is not None)
        stored = _stored(job, wishes)
        if stored.pk != job.pk:
            return stored, True
        transaction.on_commit(partial(dispatch.publish_soon, _begin(stored, chunks)))
        say.news([[str(stored.pk), stored.version, stored.owner_id, stored.status, stored.done]])
    return stored, False


def _stored(job: Job, wishes: Wishes) -> Job:
    if wishes.idempotency is None:
        return job
    stored = Job.objects.get(owner=job.owner, idempotency_key=wishes.idempotency[0])
    if stored.request_hash != wishes.idempotency[1]:
        raise KeyReused(group_commit.key_reused(wishes.idempotency[0]))
    return stored


def _begin(job: Job, chunks: list[Chunk]) -> list[dispatch.Message]:
    # The sweep and the submit race for a draft; the one that changes its row first has it.
    assert job.upload is not None
    if not Upload.objects.filter(pk=job.upload.pk, state=Upload.State.DONE).update(state=Upload.State.DONE):
        raise InvalidInput("The upload is no longer kept: drafts are removed after an hour. Send the file again.")
    return turns.begin(job, chunks)

"""Notes that messages were sent, so that the steward need not send them; in plain SQL, for thousands a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from predictions.clock import Clock, now_sql
from predictions.models import Chunk, Export, Job
from predictions.row_locks import db_id

# One that was claimed has no `publish_at` any more: it is only looked for, and nothing is written.
LOOKED_FOR = "SELECT id FROM predictions_job WHERE id IN ({ids}) AND state = 'queued' AND publish_at IS NOT NULL"
MARKED = """
    WITH sent(job, of_attempt, at) AS (VALUES {sent})
    UPDATE predictions_job SET publish_at = NULL, published = COALESCE(published, sent.at) FROM sent
    WHERE id = sent.job AND attempt = sent.of_attempt
    AND state = 'queued' AND publish_at > 0 AND run_after <= {now}
"""
AT_ONCE = 1_000
REFUSED = 0.0
"""`publish_at` of a row whose message a worker took while its queue was paused: due, and no late note makes it sent."""


@dataclass(frozen=True)
class Sent:
    """A message that the broker took, for this attempt of a vector job, of a batch's chunk or of an export."""

    job_id: UUID
    chunk_id: int | None
    attempt: int
    at: datetime
    export_id: int | None = None


def confirm(sent: Sequence[Sent]) -> None:
    """The steward need not publish these, unless the row has been claimed and has come back since.

    One that was claimed meanwhile costs a look; one that was postponed keeps its time.
    """
    jobs = [each for each in sent if each.chunk_id is None and each.export_id is None]
    for first in range(0, len(jobs), AT_ONCE):
        _confirm_jobs(jobs[first : first + AT_ONCE])
    if chunks := [(each.chunk_id, each) for each in sent if each.chunk_id is not None]:
        _confirm_chunks(chunks)
    for each in sent:
        if each.export_id is not None:
            mine = Export.objects.filter(pk=each.export_id, attempt=each.attempt, state=Export.State.QUEUED)
            mine.filter(publish_at__gt=REFUSED).update(publish_at=None)


def _confirm_jobs(sent: Sequence[Sent]) -> None:
    """Nothing is locked and nothing written where workers were quicker, which is the rule while clients wait."""
    waiting = _waiting(sent)
    still = [each for each in sent if db_id(each.job_id) in waiting]
    if not still:
        return
    sql = MARKED.format(sent=", ".join(["(%s, %s, %s)"] * len(still)), now=now_sql())
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        _lock({each.job_id for each in still})
        cursor.execute(sql, [value for each in still for value in _row(each)])


def _waiting(sent: Sequence[Sent]) -> set[UUID | str]:
    """The ids, as the database keeps them, of those that nobody has claimed."""
    ids = [db_id(each.job_id) for each in sent]
    with connection.cursor() as cursor:
        cursor.execute(LOOKED_FOR.format(ids=", ".join(["%s"] * len(ids))), ids)
        return {found for (found,) in cursor.fetchall()}


def _row(sent: Sent) -> tuple[Any, ...]:
    return db_id(sent.job_id), sent.attempt, connection.ops.adapt_datetimefield_value(sent.at)


def _confirm_chunks(chunks: Sequence[tuple[int, Sent]]) -> None:
    """They are few. Their jobs' rows come first, as everywhere."""
    with transaction.atomic(savepoint=False):
        _lock({sent.job_id for _, sent in chunks})
        for at in {sent.at for _, sent in chunks}:
            jobs = Job.objects.filter(pk__in=[sent.job_id for _, sent in chunks if sent.at == at], published=None)
            jobs.update(published=at)
        for attempt in {sent.attempt for _, sent in chunks}:
            mine = Chunk.objects.filter(pk__in=[chunk_id for chunk_id, sent in chunks if sent.attempt == attempt])
            reserved = mine.filter(state=Chunk.State.RESERVED, attempt=attempt, job__run_after__lte=Clock())
            reserved.filter(publish_at__gt=REFUSED).update(publish_at=None)


def _lock(job_ids: set[UUID]) -> None:
    """In the order of ids, before any is changed; their chunks are locked under them. SQLite has one writer."""
    if connection.features.has_select_for_update:
        rows = Job.objects.select_for_update().filter(pk__in=job_ids)
        list(rows.order_by("pk").values_list("pk"))

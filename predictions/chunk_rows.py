"""What a worker's finish and claim change in a running job's row and its chunks', inside the caller's transaction.

Plain SQL: these are made for every part of a file, and the ORM's way costs more than reading the part's rows.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from predictions import clock
from predictions.models import Chunk
from predictions.pauses import not_paused_sql
from predictions.row_locks import db_id

_CLAIMED = ("id", "number", "first_row", "first_line", "rows", "start", "attempt")


class Standing(NamedTuple):
    """How far a running job is. at_s: now, by the database's clock."""

    owner_id: int
    version: int
    chunks: int
    chunks_done: int
    done: int
    rejected: int
    spent_s: float
    revoke_requested: bool
    summary: dict[str, Any]
    at_s: float


def lock_running(job_id: UUID) -> Standing | None:
    """The row is the transaction's from here on; None where the job does not run."""
    sql = f"""SELECT owner_id, version, chunks, chunks_done, done, rejected, spent_s, revoke_requested, summary,
        {clock.now_sql()} FROM predictions_job WHERE id = %s AND state = 'running' {_for_update()}"""  # noqa: S608  our own
    with connection.cursor() as cursor:
        cursor.execute(sql, [db_id(job_id)])
        row = cursor.fetchone()
    if row is None:
        return None
    standing = Standing._make(row)
    summary = json.loads(row[-2]) if row[-2] else {}
    return standing._replace(revoke_requested=bool(standing.revoke_requested), summary=summary)


def keep(job_id: UUID, now: Standing) -> None:
    """Write what a finish has added. The row is locked."""
    sql = """UPDATE predictions_job SET version = %s, chunks_done = %s, done = %s, rejected = %s, spent_s = %s, summary = %s
        WHERE id = %s"""
    counts = now.version, now.chunks_done, now.done, now.rejected, now.spent_s
    with connection.cursor() as cursor:
        cursor.execute(sql, [*counts, json.dumps(now.summary), db_id(job_id)])


def close(chunk_id: int, attempt: int, **changes: Any) -> bool:
    """The chunk is done, if it is still this attempt's."""
    names = ", ".join(f"{name} = %s" for name in changes)
    sql = f"""UPDATE predictions_chunk SET state = 'done', lease_until = NULL, result_attempt = attempt, {names}
        WHERE id = %s AND attempt = %s AND state = 'running'"""  # noqa: S608  the names of our own columns
    with connection.cursor() as cursor:
        cursor.execute(sql, [*changes.values(), chunk_id, attempt])
        return bool(cursor.rowcount == 1)


def begin_job(job_id: UUID, worker: str) -> bool:
    """A queued job runs from here on; False where it runs already, or may not."""
    sql = f"""UPDATE predictions_job SET state = 'running', attempt = attempt + 1, worker = %s, publish_at = NULL,
            started = COALESCE(started, {clock.moment_sql()}), version = version + 1
        WHERE id = %s AND state = 'queued' AND NOT revoke_requested AND run_after <= {clock.now_sql()}"""  # noqa: S608  our own
    with connection.cursor() as cursor:
        cursor.execute(sql, [worker, db_id(job_id)])
        return bool(cursor.rowcount == 1)


def claim_reserved(job_id: UUID, chunk_id: int, attempt: int, worker: str, lease_s: float) -> Chunk | None:
    """The chunk that a message names is the worker's, if the message is the one that is awaited. The job's row is locked."""
    awaited = "state = 'reserved' AND id = %s AND job_id = %s AND attempt = %s"
    return _claim(awaited, [chunk_id, db_id(job_id), attempt], job_id, worker, lease_s)


def claim_next(job_id: UUID, worker: str, lease_s: float) -> Chunk | None:
    """The first chunk that waits is the worker's at once, without a message. The job's row is locked."""
    first = """state = 'queued' AND id = (
        SELECT id FROM predictions_chunk WHERE job_id = %s AND state = 'queued' ORDER BY number LIMIT 1)"""
    return _claim(first, [db_id(job_id)], job_id, worker, lease_s)


def _claim(which: str, given: list[Any], job_id: UUID, worker: str, lease_s: float) -> Chunk | None:
    mine = "(SELECT queue FROM predictions_job WHERE id = %s)"
    sql = f"""UPDATE predictions_chunk SET state = 'running', attempt = attempt + 1, worker = %s,
            lease_until = {clock.now_sql()} + %s, publish_at = NULL
        WHERE {which} AND {not_paused_sql(mine)} RETURNING {", ".join(_CLAIMED)}"""  # noqa: S608  our own names
    with connection.cursor() as cursor:
        cursor.execute(sql, [worker, lease_s, *given, db_id(job_id)])
        row = cursor.fetchone()
    if row is None:
        return None
    return Chunk(job_id=job_id, state=Chunk.State.RUNNING, worker=worker, **dict(zip(_CLAIMED, row, strict=True)))


def spent_if_going_on(job_id: UUID) -> float | None:
    """Seconds worked on a job by its finished chunks; None where it is to stop or has ended. Asked between two blocks."""
    sql = "SELECT spent_s FROM predictions_job WHERE id = %s AND state = 'running' AND NOT revoke_requested"
    with connection.cursor() as cursor:
        cursor.execute(sql, [db_id(job_id)])
        row = cursor.fetchone()
    return None if row is None else float(row[0])


def _for_update() -> str:
    return "FOR UPDATE" if connection.features.has_select_for_update else ""

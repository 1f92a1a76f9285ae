"""The rows of fresh vector jobs in plain SQL: the ORM's INSERT costs several times as much (facts 60)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import orjson
from django.db import connection
from django.db.models import Field

from predictions.clock import now_sql
from predictions.dispatch import STEWARD_AFTER_S
from predictions.fresh import OWN, FreshJob
from predictions.models import Job
from predictions.row_locks import db_id

Row = tuple[Any, ...]


def row_of(job: FreshJob) -> Row:
    """The values of its row, as this database takes them, in the order of OWN."""
    return (
        job.owner_id,
        job.model,
        orjson.dumps(job.vector).decode(),
        job.priority,
        job.source,
        job.store,
        job.on_bad_row,
        job.idempotency_key,
        job.request_hash,
        db_id(job.retry_of_id) if job.retry_of_id else None,
        job.lane,
        db_id(job.id),
        connection.ops.adapt_datetimefield_value(job.created),
    )


def insert(rows: Iterable[Row]) -> None:
    """A row whose idempotency key its owner has used before is passed over."""
    sql, same = _insert_sql(connection.vendor), _same(connection.vendor)
    with connection.cursor() as cursor:
        cursor.executemany(sql, [row + same for row in rows])


@cache
def _same_fields() -> list[Field[Any, Any]]:
    return [field for field in Job._meta.concrete_fields if field.attname not in {*OWN, "publish_at"}]


@cache
def _same(vendor: str) -> Row:
    """What every fresh vector job has: what `FreshJob` says of all, and else the model's default."""
    values = [(field, getattr(FreshJob, field.attname, field.get_default())) for field in _same_fields()]
    return tuple(field.get_db_prep_save(value, connection) for field, value in values)


@cache
def _insert_sql(vendor: str) -> str:
    columns = [*OWN, *(str(field.column) for field in _same_fields())]
    marks = ["%s::jsonb" if vendor == "postgresql" and name == "vector" else "%s" for name in columns]
    return (
        f"INSERT INTO {Job._meta.db_table} ({', '.join(columns)}, publish_at) "  # noqa: S608  marks
        f"VALUES ({', '.join(marks)}, {now_sql()} + {STEWARD_AFTER_S}) "
        "ON CONFLICT (owner_id, idempotency_key) DO NOTHING"
    )

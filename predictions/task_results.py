"""Writes the rows of django-celery-results: one a job that ended, in the transaction that ends it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import orjson
from django.db import connection
from django_celery_results.models import TaskResult

from predictions.models import Kind, State

CELERY_STATUS = {State.SUCCEEDED: "SUCCESS", State.FAILED: "FAILURE", State.REVOKED: "REVOKED"}
TASK_NAME = {Kind.REALTIME: "predictions.predict", Kind.BATCH: "predictions.score_chunk"}
META = '{"children": []}'
WRITTEN = (
    "task_id",
    "task_name",
    "status",
    "result",
    "traceback",
    "worker",
    "content_type",
    "content_encoding",
    "meta",
    "date_started",
    "date_created",
    "date_done",
)
KEPT = {"task_id", "date_created"}
"""What a row that is there already keeps."""


def write(rows: Iterable[tuple[Any, ...]]) -> None:
    """`row`s. One that a stray `control.revoke` or Flower left is overwritten."""
    with connection.cursor() as cursor:
        cursor.executemany(_upsert_sql(), list(rows))


def row(
    job_id: UUID,
    kind: Kind,
    state: State,
    result: Any,
    worker: str,
    times: tuple[Any, ...],
    traceback: str | None = None,
) -> tuple[Any, ...]:
    """result: as Celery's own backend would write it; times: started, created, finished, each `adapted`."""
    return (
        str(job_id),
        TASK_NAME[kind],
        CELERY_STATUS[state],
        orjson.dumps(result).decode(),
        traceback,
        worker or None,
        "application/json",
        "utf-8",
        META,
        *times,
    )


def adapted(moment: datetime | None) -> Any:
    """A time as this database keeps it."""
    return connection.ops.adapt_datetimefield_value(moment)


@cache
def _upsert_sql() -> str:
    """Plain SQL: building a model instance a row costs more than the row (docs/performance.md)."""
    fresh = ", ".join(f"{column} = excluded.{column}" for column in WRITTEN if column not in KEPT)
    return f"""INSERT INTO {TaskResult._meta.db_table} ({", ".join(WRITTEN)})
        VALUES ({", ".join(["%s"] * len(WRITTEN))})
        ON CONFLICT (task_id) DO UPDATE SET {fresh}"""  # noqa: S608  our own names

"""The order in which many rows are locked at once: by id, everywhere; and what to do where two waited for each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from django.db import OperationalError, connection
from django.db.models import Model, QuerySet

DEADLOCK = "40P01"
TRIES = 5
Row = TypeVar("Row", bound=Model)
T = TypeVar("T")


def in_id_order(rows: QuerySet[Row]) -> QuerySet[Row]:
    """The same rows, locked by id before one UPDATE of them; inside a transaction. SQLite has one writer and no such locks."""
    return rows.model._default_manager.filter(pk__in=rows.select_for_update().order_by("pk").values("pk"))


def jobs_sql(count: int) -> str:
    """The same for plain SQL: the condition that a job's id is one of so many, to be given as `db_id`s."""
    ids = f"id IN ({', '.join(['%s'] * count)})"
    if not connection.features.has_select_for_update:
        return ids
    return f"id IN (SELECT id FROM predictions_job WHERE {ids} ORDER BY id FOR UPDATE)"  # noqa: S608  only marks


def db_id(job_id: UUID) -> UUID | str:
    """An id as this database keeps it, for plain SQL."""
    return job_id if connection.features.has_native_uuid_field else job_id.hex


def despite_deadlocks(act: Callable[[], T]) -> T:
    """What `act` gives. Of two transactions that wait for each other PostgreSQL undoes one, which begins again at once."""
    for _ in range(TRIES - 1):
        try:
            return act()
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) != DEADLOCK:
                raise
    return act()

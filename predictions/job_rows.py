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
from predictions.models import Job

Row = tuple[Any, ...]
# What one vector job has and another has not; all else is the model's default.
OWN = (
    *("id", "owner", "kind", "model", "queue", "priority", "lane", "source", "store", "on_bad_row", "created"),
    *("retry_of", "idempotency_key", "request_hash"),
)


def row_of(job: Job) -> Row:
    """The values of its row, as this database takes them."""
    own = [field.get_db_prep_save(getattr(job, field.attname), connection) for field in _own_fields()]
    return (*own, orjson.dumps(job.vector).decode(), *_same(connection.vendor))


def insert(rows: Iterable[Row]) -> None:
    """A row whose idempotency key its owner has used before is passed over."""
    with connection.cursor() as cursor:
        cursor.executemany(_insert_sql(connection.vendor), list(rows))


@cache
def _own_fields() -> list[Field[Any, Any]]:
    return [field for field in Job._meta.concrete_fields if field.name in OWN]


@cache
def _same_fields() -> list[Field[Any, Any]]:
    return [field for field in Job._meta.concrete_fields if field.name not in {*OWN, "vector", "publish_at"}]


@cache
def _same(vendor: str) -> Row:
    """What every fresh vector job has."""
    return tuple(field.get_db_prep_save(field.get_default(), connection) for field in _same_fields())


def _column(field: Field[Any, Any]) -> str:
    return str(field.column)


@cache
def _insert_sql(vendor: str) -> str:
    own, same = _own_fields(), _same_fields()
    columns = [*map(_column, own), "vector", *map(_column, same), "publish_at"]
    json = "%s::jsonb" if vendor == "postgresql" else "%s"
    values = [*["%s"] * len(own), json, *["%s"] * len(same), f"{now_sql()} + {STEWARD_AFTER_S}"]
    return (
        f"INSERT INTO {Job._meta.db_table} ({', '.join(columns)}) VALUES ({', '.join(values)}) "  # noqa: S608  marks
        "ON CONFLICT (owner_id, idempotency_key) DO NOTHING"
    )

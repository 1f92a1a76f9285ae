"""The database's clock, in seconds since 1970; the only clock by which leases are made and judged."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.models import FloatField, Func

SQL = {
    # unixepoch('subsec') is NULL on SQLite 3.40; julianday is exact to the millisecond.
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    # now() is the time the transaction began: 0.6 s stale after a lock wait.
    "postgresql": "extract(epoch from clock_timestamp())::double precision",
}


MOMENT_SQL = {
    "sqlite": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', '+{} seconds')",
    "postgresql": "(statement_timestamp() + interval '{} seconds')",
}


class Clock(Func):
    """`now` for the ORM. Works in updates and filters: `lease_until__lt=Clock()`, `Clock() + 9.0`."""

    output_field = FloatField()

    def as_sql(self, compiler: Any, connection: Any, *_: Any, **__: Any) -> tuple[str, tuple[str | int, ...]]:
        return SQL[connection.vendor], ()


def now_sql() -> str:
    """`now` for plain SQL."""
    return SQL[connection.vendor]


def moment_sql(after_s: int = 0) -> str:
    """`now`, or so much later, for plain SQL with parameters, as a time that people read: what Django's `Now()` gives."""
    return MOMENT_SQL[connection.vendor].format(after_s)


def now_s() -> float:
    """The database's time; one round trip."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {now_sql()}")
        return float(cursor.fetchone()[0])

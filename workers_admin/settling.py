"""Up to when the history stands: no job that ended before then is still to appear.

A row is seen when its transaction commits, later than the time it was given as its end; and later than its id was made.
"""

from __future__ import annotations

from django.db import connection, transaction

from predictions.clock import now_s, now_sql

# An id is made before its transaction begins, and a statement has its time before this one is listed among those that write.
MARGIN_S = 2.0
# Somebody's transaction that stays open for hours holds up no sample for longer than this.
PATIENCE_S = 60.0
OLDEST_WRITER = """SELECT {now}, extract(epoch from min(xact_start))::double precision FROM pg_stat_activity
    WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()"""


def settled_until() -> float:
    """In seconds of the database's clock."""
    return _on_postgresql() if connection.vendor == "postgresql" else _on_sqlite()


def _on_sqlite() -> float:
    """One writes at a time: whoever wrote before our turn is done, and whoever comes after it ends a job later."""
    now = now_s()
    with transaction.atomic():
        return now - MARGIN_S


def _on_postgresql() -> float:
    with connection.cursor() as cursor:
        cursor.execute(OLDEST_WRITER.format(now=now_sql()))
        now, oldest = cursor.fetchone()
    return float(max(now - PATIENCE_S, min(now, oldest or now) - MARGIN_S))

"""Which transactions need not survive a power failure, and so need not wait for the disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def without_waiting_for_the_disk() -> Iterator[None]:
    """Around a worker's claim, or a file that is taken in. It outlives any process that dies; at a power failure it is lost,
    unless a later transaction did wait, and so is the worker that made the claim.

    Only on SQLite, where both are on one machine: a PostgreSQL that fails alone must remember who has which attempt.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous = NORMAL")
        try:
            yield
        finally:
            cursor.execute("PRAGMA synchronous = FULL")

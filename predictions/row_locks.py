"""The order in which many rows are locked at once: by id, everywhere; and what to do where two waited for each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError
from django.db.models import Model, QuerySet

DEADLOCK = "40P01"
TRIES = 5
Row = TypeVar("Row", bound=Model)
T = TypeVar("T")


def in_id_order(rows: QuerySet[Row]) -> QuerySet[Row]:
    """The same rows, locked by id before one UPDATE of them; inside a transaction. SQLite has one writer and no such locks."""
    return rows.model._default_manager.filter(pk__in=rows.select_for_update().order_by("pk").values("pk"))


def despite_deadlocks(act: Callable[[], T]) -> T:
    """What `act` gives. Of two transactions that wait for each other PostgreSQL undoes one, which begins again at once."""
    for _ in range(TRIES - 1):
        try:
            return act()
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) != DEADLOCK:
                raise
    return act()

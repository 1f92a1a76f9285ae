"""All entries of the audit that match a filter, as a CSV file that is written while it is sent."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

from asgiref.sync import sync_to_async
from django.db import close_old_connections

from predictions.csv_cells import harmless
from predictions.db_threads import in_db_thread
from predictions.models import time_of
from workers_admin.audit_list import AuditList

COLUMNS = ("number", "at", "who", "action", "subject", "outcome", "address", "before", "after")
FIELDS = ("pk", "at", "who_name", "action", "subject", "outcome", "address", "before", "after")
ENTRIES_AT_ONCE = 1_000


async def lines(listed: AuditList, newest: int) -> AsyncIterator[bytes]:
    """Block by block, the newest first. newest: the number of the first; what comes meanwhile stays out."""
    # However slowly the client reads, the request's own database connection is free meanwhile.
    await sync_to_async(close_old_connections)()
    before, block = newest + 1, _written([COLUMNS])
    while block:
        yield block
        block, before = await in_db_thread(_block, listed, before)


def _block(listed: AuditList, before: int) -> tuple[bytes, int]:
    """The next entries as text, empty at the end, and the number of the last of them."""
    found = list(listed.entries(before).values_list(*FIELDS)[:ENTRIES_AT_ONCE])
    return _written(map(_cells, found)), found[-1][0] if found else before


def _cells(entry: tuple[Any, ...]) -> tuple[str, ...]:
    number, at, *words, address, before, after = entry
    facts = (_json(before), _json(after))
    return str(number), time_of(at) or "", *map(harmless, words), address or "", *map(harmless, facts)


def _json(facts: Any) -> str:
    return "" if facts is None else json.dumps(facts, ensure_ascii=False)


def _written(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()

"""Makes a stored table of the rows of a JSON body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from predictions.columns import TakesColumns
from predictions.parts import Plan, Put
from predictions.table_parts import TableParts
from predictions.tables import Rows


def ingest_rows(rows: Sequence[Sequence[float]], card: TakesColumns, put: Put) -> Plan:
    """rows: judged already, all of them."""
    x = np.array(rows, dtype=np.float32)  # (n, width)
    parts = TableParts(card, put, x.nbytes)
    parts.add(Rows(x), x.nbytes)
    return replace(parts.plan(x.nbytes, []), truncated_judgement=False)

"""Who takes in a file of each kind, and in which format its parts are then kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from predictions.arrow_ingest import ArrowIngest
from predictions.columns import TakesColumns
from predictions.ingest import Ingest
from predictions.npy_ingest import NpyIngest
from predictions.parquet_ingest import ParquetIngest
from predictions.parts import Plan, Put
from predictions.table_kinds import ARROW, CSV, NPY, PARQUET

FORMATS = {CSV: "csv", ARROW: "table", NPY: "table", PARQUET: "table"}
"""The format of the parts that a file of each kind becomes, as the plan names it."""


class Intake(Protocol):
    """Takes a file as it arrives, any cut of it; both raise Refused."""

    def feed(self, block: bytes) -> None: ...
    def close(self) -> Plan: ...


def ingest_for(
    kind: str,
    card: TakesColumns,
    put: Put,
    max_bytes: int,
    *,
    mapping: Mapping[str, str] | None = None,
    may_map: bool = False,
) -> Intake:
    """mapping, may_map: as judge_first_line takes them. Only a CSV can wait for its columns to be matched."""
    if kind == ARROW:
        return ArrowIngest(card, put, max_bytes, mapping=mapping)
    if kind == PARQUET:
        return ParquetIngest(card, put, max_bytes, mapping=mapping)
    if kind == NPY:
        return NpyIngest(card, put, max_bytes)
    return Ingest(card, put, max_bytes, mapping=mapping, may_map=may_map)

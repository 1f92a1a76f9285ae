"""The domain's words for tests of tables: a model of three features, its rows as each kind of file, and what is made of them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from predictions import intakes
from predictions.bad_cells import BadCell
from predictions.errors import Refused
from predictions.parts import Plan
from predictions.tables import read_part

LARGE = 1 << 31


@dataclass(frozen=True)
class Model:
    ref: str = "iris@1"
    width: int = 3
    features: tuple[str, ...] = ("a", "b", "c")


MODEL = Model()


@dataclass
class Taken:
    plan: Plan
    parts: dict[int, bytes] = field(default_factory=dict)
    model: Model = MODEL

    def blocks(self) -> list[Any]:
        return [
            block
            for part in self.plan.parts
            for block, _, _ in read_part(self.parts[part.number], self.model.features, 0, part.first_row)
        ]

    @property
    def x(self) -> list[list[float]]:
        return [row for block in self.blocks() for row in block.x.tolist()]

    @property
    def rows(self) -> list[int]:
        return [row for block in self.blocks() for row in block.rows.tolist()]

    @property
    def ids(self) -> list[str]:
        return [of for block in self.blocks() for of in block.ids or []]

    @property
    def bad(self) -> list[BadCell]:
        return [cell for block in self.blocks() for cell in block.bad]


def take(
    kind: str, data: bytes, step: int = 65_536, max_bytes: int = LARGE, model: Model = MODEL, **more: Any
) -> Taken:
    parts: dict[int, bytes] = {}
    ingest = intakes.ingest_for(kind, model, parts.__setitem__, max_bytes, **more)
    for start in range(0, len(data), step):
        ingest.feed(data[start : start + step])
    return Taken(ingest.close(), parts, model)


def refusal(kind: str, data: bytes, of: type[Refused] = Refused, **more: Any) -> str:
    try:
        take(kind, data, **more)
    except of as refused:
        return refused.detail
    raise AssertionError("it was taken")


def stream_of(table: pa.Table, rows: int | None = None, **options: Any) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=rows)
    return sink.getvalue()


def file_of(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def parquet_of(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def npy_of(array: npt.NDArray[Any], version: tuple[int, int] | None = None) -> bytes:
    sink = io.BytesIO()
    np.lib.format.write_array(sink, array, version=version, allow_pickle=True)
    return sink.getvalue()


def named(columns: Mapping[str, Sequence[Any]], kind: pa.DataType | None = None) -> pa.Table:
    """A table of float64 columns, or of those of another kind."""
    kinds = {name: kind if name in MODEL.features else None for name in columns}
    return pa.table({name: pa.array(list(values), kinds[name]) for name, values in columns.items()})

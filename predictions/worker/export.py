"""A batch's result as a Parquet file: the rows of its CSV, part by part, with the likeliest classes of each scored again."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from typing import IO, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from predictions import exports, files, result_files
from predictions.csv_reading import Block
from predictions.leases import ExportClaim
from predictions.models import Chunk
from predictions.part_reading import read_part
from predictions.parts import Plan
from predictions.vitals import vitals
from predictions.worker import failures
from predictions.worker.beat import beat
from predictions.worker.insisting import AWAY, insist, insist_on_storage
from predictions.worker.runtime import Model
from predictions.worker.scoring import probabilities_of
from predictions.worker.top import CANDIDATE, Classes, Confidences, top_column

ROW_GROUP = 65_536
TOLD_EVERY_S = 1.0


class Answers(NamedTuple):
    """What a part's result CSV says, row by row: (n,) each."""

    rows: npt.NDArray[np.int64]
    classes: Classes
    confidences: Confidences

    def between(self, start: int, end: int) -> Answers:
        return Answers(self.rows[start:end], self.classes[start:end], self.confidences[start:end])


def work_on(claim: ExportClaim, model: Model) -> None:
    vitals.begin(str(claim.job_id))
    beat.hold(claim)
    failed = 0
    try:
        with tempfile.TemporaryFile() as file:  # without a name: it goes with the process, however that ends
            rows = _write(claim, model, file)
            if rows is not None:
                _keep(claim, rows, file)
    except AWAY:  # no fault of the job: its lease lapses, and somebody does it again
        raise
    except Exception as error:  # one file's fault must not end the worker
        failed = 1
        insist(partial(exports.fail, claim, failures.reason(error)))
    finally:
        beat.drop(claim)
        vitals.worked_on(str(claim.job_id))
        vitals.end(0, jobs=0, failed=failed)


def _write(claim: ExportClaim, model: Model, file: IO[bytes]) -> int | None:
    """How many rows the file has; None where nobody wants it any more."""
    plan = Plan.from_json(claim.job.upload.plan if claim.job.upload else {})
    writer = _Writer(file, _schema(plan))
    told_at = time.monotonic()
    for chunk in insist(lambda: list(result_files.finished_parts(claim.job))):
        if beat.is_lost(claim) or not insist(partial(exports.is_wanted, claim)):
            return None
        for table in _tables(claim, chunk, plan, model):
            writer.add(table)
            vitals.moved()
        if time.monotonic() - told_at > TOLD_EVERY_S:
            insist(partial(exports.tell_progress, claim, writer.rows))
            told_at = time.monotonic()
    writer.close()
    return writer.rows


def _keep(claim: ExportClaim, rows: int, file: IO[bytes]) -> None:
    size_bytes = file.tell()
    file.seek(0)
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    insist_on_storage(partial(files.write_from, files.export_key(claim.job_id, claim.attempt), file))
    insist(partial(exports.finish, claim, rows, size_bytes, sha256))


class _Writer:
    """Gathers what is added into row groups, so that no more than one is in memory."""

    def __init__(self, file: IO[bytes], schema: pa.Schema) -> None:
        self.rows = 0
        self._writer = pq.ParquetWriter(file, schema, compression="zstd")
        self._waiting: list[pa.Table] = []

    def add(self, table: pa.Table) -> None:
        self._waiting.append(table)
        self.rows += len(table)
        if sum(map(len, self._waiting)) >= ROW_GROUP:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting))
            self._waiting = []


def _tables(claim: ExportClaim, chunk: Chunk, plan: Plan, model: Model) -> Iterator[pa.Table]:
    """A part's rows, a block at a time: those that its CSV holds, which may end before the part does."""
    upload_id = claim.job.upload_id
    assert upload_id is not None
    data = insist_on_storage(partial(files.read, files.input_key(upload_id, chunk.number, plan.format)))
    answers, at = _answers(claim, chunk, plan), 0
    for read in read_part(data, plan, model.card.features, chunk.start, chunk.first_row, chunk.first_line):
        mine = answers.between(at, at + len(read.block.rows))
        if len(mine.rows):
            yield _table(read.block, mine, model, _schema(plan))
        at += len(mine.rows)
        if at == len(answers.rows):
            return


def _answers(claim: ExportClaim, chunk: Chunk, plan: Plan) -> Answers:
    data = insist_on_storage(
        partial(files.read, files.result_key(claim.job_id, chunk.number, chunk.result_attempt or 0))
    )
    names = result_files.columns_of(claim.job)
    reading = pacsv.ReadOptions(use_threads=False, column_names=names, block_size=len(data) + 1)
    types = {"row": pa.int64(), "class": pa.int32(), "confidence": pa.float64()}
    converting = pacsv.ConvertOptions(column_types=types, include_columns=list(types))
    table = pacsv.read_csv(pa.py_buffer(data), reading, convert_options=converting)
    return Answers(*(column.to_numpy() for column in table.columns))


def _table(block: Block, answers: Answers, model: Model, schema: pa.Schema) -> pa.Table:
    n = len(answers.rows)
    if not np.array_equal(block.rows[:n], answers.rows):
        raise ValueError(f"Row {answers.rows[0]:,} and those after it are no longer the rows of the stored input.")
    probabilities = probabilities_of(model, block.x[:n], answers.rows)  # (n, classes)
    labels = model.card.labels
    columns = {
        "row": pa.array(answers.rows),
        "id": None if block.ids is None else _strings(block, n),
        "class": pa.array(answers.classes),
        "label": pa.array(labels).take(pa.array(answers.classes)),
        "confidence": pa.array(answers.confidences),
        "top": top_column(probabilities, answers.classes, answers.confidences, labels),
    }
    return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


def _strings(block: Block, n: int) -> pa.Array:
    ids = block.ids if isinstance(block.ids, pa.Array) else pa.array(block.ids, pa.string())
    return ids.slice(0, n)


def _schema(plan: Plan) -> pa.Schema:
    ids = [] if plan.columns.id_position is None else [("id", pa.string())]
    answer = [("class", pa.int32()), ("label", pa.string()), ("confidence", pa.float64())]
    return pa.schema([("row", pa.int64()), *ids, *answer, ("top", pa.list_(CANDIDATE))])

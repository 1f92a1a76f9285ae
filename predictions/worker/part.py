"""One chunk of a batch from its claim to its finish: read in blocks, scored, written under the attempt's own name."""

from __future__ import annotations

import csv
import io
import time
from functools import partial
from uuid import UUID

import numpy as np
from django.db import transaction

from predictions import files, leases, turns
from predictions.csv_reading import BadCell, blocks, read_block
from predictions.leases import ChunkClaim
from predictions.limits import limits_of
from predictions.models import Chunk, Job, State
from predictions.parts import Plan
from predictions.turns import HISTOGRAM_BINS, Scored
from predictions.vitals import vitals
from predictions.worker import failures, refusals
from predictions.worker.beat import beat
from predictions.worker.insisting import AWAY, insist, insist_on_storage
from predictions.worker.runtime import Model
from predictions.worker.scoring import Scores, format_lines, score_rows


def work_on(claim: ChunkClaim, model: Model) -> State | None:
    """The job's state after this chunk; None where there is nothing more to do here."""
    vitals.begin(str(claim.job.pk))
    rows, failed = 0, False
    try:
        beat.hold(claim)
        scored = _score(claim, model)
        rows = scored.scored
        state = insist(partial(turns.finish_chunk, claim, scored))
    except AWAY:  # no fault of the job: its lease lapses, and somebody does it again
        raise
    except Exception as error:  # one job's fault must not end the worker
        failed = True
        return insist(partial(_fail, claim, error))
    finally:
        beat.drop(claim)
        vitals.end(rows, failed=int(failed))
    if state is None:
        refusals.count(claim)
    return state


def _score(claim: ChunkClaim, model: Model) -> Scored:
    """What was scored before it had to stop is kept."""
    job, chunk = claim.job, claim.chunk
    assert job.upload is not None
    begun, scored = time.monotonic(), Scored()
    columns = Plan.from_json(job.upload.plan).columns
    line, row, lines, bad = chunk.first_line, chunk.first_row, list[bytes](), list[BadCell]()
    for block, line_count, row_count in blocks(_read(job.upload.pk, chunk.number)):
        if _must_stop(claim, time.monotonic() - begun, scored):
            break
        read = read_block(block, columns, model.card.features, line, row)
        if len(read.rows):
            scores = score_rows(model, read.x)
            lines.append(format_lines(read.rows, read.ids, scores, model.card.labels))
            _count(scored, scores, model.card.labels)
        bad += read.bad
        line, row = line + line_count, row + row_count
    _write(claim, scored, b"".join(lines), bad)
    scored.spent_s = time.monotonic() - begun
    return scored


def _read(upload_id: UUID, number: int) -> bytes:
    return insist_on_storage(partial(files.read, files.input_key(upload_id, number)))


def _must_stop(claim: ChunkClaim, worked_s: float, scored: Scored) -> bool:
    """Asked between two blocks: the lease is gone, the job ends without us, or it was worked on for too long.

    What other workers have in hand meanwhile is not yet counted: the limit holds to within their chunks.
    """
    if beat.is_lost(claim):
        return True
    spent_s = insist(partial(leases.spent_so_far, claim.job.pk))
    scored.cut_short = spent_s is not None and limits_of(claim.job.queue).is_overworked(spent_s + worked_s)
    return spent_s is None or scored.cut_short


def _count(scored: Scored, scores: Scores, labels: tuple[str, ...]) -> None:
    by_class = np.bincount(scores.classes, minlength=len(labels))  # (classes,)
    bins, _ = np.histogram(scores.confidences, bins=HISTOGRAM_BINS, range=(0.0, 1.0))  # (bins,)
    scored.scored += len(scores.classes)
    scored.class_counts.update({label: int(count) for label, count in zip(labels, by_class, strict=True) if count})
    scored.histogram = [old + int(new) for old, new in zip(scored.histogram, bins, strict=True)]


def _write(claim: ChunkClaim, scored: Scored, result: bytes, bad: list[BadCell]) -> None:
    number = claim.chunk.number
    insist_on_storage(partial(files.write, files.result_key(claim.job.pk, number, claim.attempt), result))
    scored.result_bytes = len(result)
    if bad:
        rejected = _rejected_lines(bad)
        insist_on_storage(partial(files.write, files.rejected_key(claim.job.pk, number, claim.attempt), rejected))
        scored.rejected_bytes = len(rejected)
        scored.rejected = len({cell.row for cell in bad})
        scored.places = [cell.as_place() for cell in bad[:100]]


def _rejected_lines(bad: list[BadCell]) -> bytes:
    """line,row,column,value,reason; a value that a spreadsheet would run gets an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for cell in bad:
        writer.writerow([cell.line, cell.row, cell.column or "", _harmless(cell.value), cell.reason])
    return text.getvalue().encode()


def _harmless(value: str) -> str:
    return f"'{value}" if value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value


def _fail(claim: ChunkClaim, error: Exception) -> State | None:
    """An error of the device or the storage gives the chunk one more try by the rescue's own way; others end the job."""
    ending = failures.ending_of(error)
    with transaction.atomic():
        job = Job.objects.select_for_update().get(pk=claim.job.pk)
        mine = Chunk.objects.filter(pk=claim.chunk.pk, attempt=claim.attempt, state=Chunk.State.RUNNING)
        if job.state != State.RUNNING or not mine.exists():
            return None
        if (
            failures.is_retried(error)
            and not job.revoke_requested
            and turns.try_again(job, claim, failures.reason(error))
        ):
            return None
        return turns.fail_by(claim, ending.error or {}, ending.traceback)

"""One chunk of a batch from its claim to its finish: read in blocks, scored, written under the attempt's own name."""

from __future__ import annotations

import csv
import io
import logging
import time
from functools import partial

import numpy as np
from django.db import transaction

from predictions import files, leases, turns
from predictions.csv_reading import BadCell, blocks, read_block
from predictions.leases import Claim
from predictions.models import Chunk, Job, State
from predictions.parts import Plan
from predictions.turns import HISTOGRAM_BINS, Scored
from predictions.vitals import vitals
from predictions.worker import failures
from predictions.worker.beat import beat
from predictions.worker.insisting import AWAY, insist
from predictions.worker.runtime import Model
from predictions.worker.scoring import Scores, format_lines, score_rows

log = logging.getLogger(__name__)


def work_on(claim: Claim, model: Model) -> State | None:
    """The job's state after this chunk; None where there is nothing more to do here."""
    vitals.begin(str(claim.job.pk))
    beat.hold(claim)
    rows, failed = 0, False
    try:
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
        vitals.end(rows, failed)
    if state is None:
        log.warning("%s: attempt %d of chunk %s was fenced off", claim.job.pk, claim.attempt, claim.chunk)
    return state


def _score(claim: Claim, model: Model) -> Scored:
    """Stops between two blocks when the job is revoked or the lease is gone; what was scored so far is kept."""
    job, chunk = claim.job, claim.chunk
    assert chunk is not None and job.upload is not None
    begun, scored = time.monotonic(), Scored()
    columns = Plan.from_json(job.upload.plan).columns
    line, row, lines, bad = chunk.first_line, chunk.first_row, list[bytes](), list[BadCell]()
    for block, line_count, row_count in blocks(files.read(files.input_key(job.upload.pk, chunk.number))):
        if beat.is_lost(claim) or insist(partial(leases.is_revoked, job.pk)):
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


def _count(scored: Scored, scores: Scores, labels: tuple[str, ...]) -> None:
    by_class = np.bincount(scores.classes, minlength=len(labels))  # (classes,)
    bins, _ = np.histogram(scores.confidences, bins=HISTOGRAM_BINS, range=(0.0, 1.0))  # (bins,)
    scored.scored += len(scores.classes)
    scored.class_counts.update({label: int(count) for label, count in zip(labels, by_class, strict=True) if count})
    scored.histogram = [old + int(new) for old, new in zip(scored.histogram, bins, strict=True)]


def _write(claim: Claim, scored: Scored, result: bytes, bad: list[BadCell]) -> None:
    assert claim.chunk is not None
    number = claim.chunk.number
    files.write(files.result_key(claim.job.pk, number, claim.attempt), result)
    scored.result_bytes = len(result)
    if bad:
        rejected = _rejected_lines(bad)
        files.write(files.rejected_key(claim.job.pk, number, claim.attempt), rejected)
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


def _fail(claim: Claim, error: Exception) -> State | None:
    """A device's error gives the chunk one more try by the rescue's own way; any other ends the job."""
    assert claim.chunk is not None
    ending = failures.ending_of(error)
    with transaction.atomic():
        job = Job.objects.select_for_update().get(pk=claim.job.pk)
        mine = Chunk.objects.filter(pk=claim.chunk.pk, attempt=claim.attempt, state=Chunk.State.RUNNING)
        if job.state != State.RUNNING or not mine.exists():
            return None
        if failures.is_of_device(error) and not job.revoke_requested and turns.try_again(job, claim, str(error)):
            return None
        return turns.fail_by(claim, ending.error or {}, ending.traceback)

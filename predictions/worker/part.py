"""One chunk of a batch from its claim to its finish: read in blocks, scored, written under the attempt's own name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from uuid import UUID

from django.db import transaction

from predictions import files, turns
from predictions.leases import ChunkClaim
from predictions.models import Chunk, Job, State, Upload
from predictions.part_reading import Read, read_part
from predictions.parts import Plan
from predictions.tallies import Scored
from predictions.turns import Turn
from predictions.vitals import vitals
from predictions.worker import failures, refusals
from predictions.worker.beat import beat
from predictions.worker.insisting import AWAY, insist, insist_on_storage
from predictions.worker.part_output import PartOutput
from predictions.worker.runtime import Model
from predictions.worker.watch import Watch


def work_on(claim: ChunkClaim, model: Model, turn: Turn | None = None) -> State | None:
    """The job's state after this chunk; None where there is nothing more to do here. The turn gets the next chunk."""
    vitals.begin(str(claim.job.pk))
    rows, failed = 0, False
    try:
        beat.hold(claim)
        scored = _score(claim, model)
        rows = scored.scored
        state = insist(partial(turns.finish_chunk, claim, scored, turn))
    except AWAY:  # no fault of the job: its lease lapses, and somebody does it again
        raise
    except Exception as error:  # one job's fault must not end the worker
        failed = True
        return insist(partial(_fail, claim, error))
    finally:
        beat.drop(claim)
        vitals.worked_on(str(claim.job.pk))
        vitals.end(rows, failed=int(failed))
    if state is None:
        refusals.count(claim)
    return state


def _score(claim: ChunkClaim, model: Model) -> Scored:
    """What was scored before it had to stop is kept, and where that was."""
    watch, output = Watch(claim), PartOutput(model)
    at, line, scored = claim.chunk.start, claim.chunk.first_line, output.scored
    for read in _reads(claim, model.card.features):
        if watch.must_stop():
            scored.stopped_at, scored.stopped_line, scored.cut_short = at, line, watch.is_overworked
            break
        output.take(read.block)
        vitals.moved()
        at, line = read.end, line + read.lines
    output.write(claim)
    scored.spent_s = watch.worked_s()
    return scored


def _reads(claim: ChunkClaim, features: Sequence[str]) -> Iterator[Read]:
    chunk, upload_id = claim.chunk, claim.job.upload_id
    assert upload_id is not None
    plan = _plan(upload_id)
    data = insist_on_storage(partial(files.read, files.input_key(upload_id, chunk.number, plan.format)))
    return read_part(data, plan, features, chunk.start, chunk.first_row, chunk.first_line)


@lru_cache(maxsize=8)
def _plan(upload_id: UUID) -> Plan:
    """It never changes once a job refers to it, and names every part of the file."""
    return Plan.from_json(insist(partial(Upload.objects.values_list("plan", flat=True).get, pk=upload_id)))


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

"""The domain's words for tests: submit a digit or a file, hold a job as a worker would."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from django.core.files.storage import default_storage

from predictions import files, leases, submission, uploading
from predictions.leases import ChunkClaim, VectorClaim
from predictions.model_cards import ModelCard
from predictions.models import Chunk, Job, State, Upload
from predictions.outcomes import Ending
from predictions.submission import Wishes
from predictions.tallies import Scored

PREDICTION = {"class": 3, "label": "3", "confidence": 0.9, "device": "cpu", "top": []}
SUCCESS = Ending(State.SUCCEEDED, result=PREDICTION)


def submit_digit(owner: Any, card: ModelCard, digit: int = 3, **wishes: Any) -> Job:
    job, _ = submission.submit_vector(owner, list(card.examples[digit]["vector"]), card, Wishes(**wishes))
    return job


def csv_of(card: ModelCard, rows: int, header: bool = True) -> bytes:
    vectors = [",".join(map(str, card.examples[n % 10]["vector"])) for n in range(rows)]
    return "\n".join(([",".join(card.features)] if header else []) + vectors).encode() + b"\n"


def random_csv(card: ModelCard, rows: int, seed: int = 0) -> bytes:
    """Rows of which each has its own numbers, so that each has its own confidence."""
    pixels = np.random.default_rng(seed).uniform(0, 16, (rows, card.width)).round(3)
    return "\n".join([",".join(card.features), *(",".join(map(str, row)) for row in pixels.tolist())]).encode() + b"\n"


def submit_random(owner: Any, card: ModelCard, rows: int, parts: int = 1, **wishes: Any) -> Job:
    upload = receive(owner, "random.csv", [random_csv(card, rows)], card)
    split(upload, parts)
    return submission.submit_batch(owner, upload, Wishes(**wishes))[0]


def submit_large(owner: Any, card: ModelCard, thousands: int, parts: int = 0, **wishes: Any) -> Job:
    """So many times the same thousand random rows. parts: 0 as the upload cuts them."""
    header, _, rows = random_csv(card, 1_000).partition(b"\n")
    upload = receive(owner, "large.csv", [header + b"\n", *([rows] * thousands)], card)
    if parts:
        split(upload, parts)
    return submission.submit_batch(owner, upload, Wishes(**wishes))[0]


def rows_kept(job: Job) -> bytes:
    """The lines of its result, without the header."""
    done = Chunk.objects.filter(job=job, state=Chunk.State.DONE).order_by("number")
    keys = [files.result_key(job.pk, chunk.number, chunk.result_attempt or 0) for chunk in done]
    return b"".join(map(files.read, keys))


def upload_rows(owner: Any, card: ModelCard, rows: int) -> Upload:
    return receive(owner, "digits.csv", [csv_of(card, rows)], card)


def receive(owner: Any, file_name: str, blocks: Iterable[bytes], card: ModelCard, may_map: bool = False) -> Upload:
    """A file as the door takes it in, without a request."""
    incoming = uploading.begin(owner, file_name, card, None, may_map, 0)
    try:
        for block in blocks:
            incoming.feed(block)
        return uploading.complete(incoming.upload, incoming.close(), incoming.sha256, incoming.size_bytes)
    except BaseException:
        incoming.abandon()
        uploading.withdraw(incoming.upload)
        raise


def submit_rows(owner: Any, card: ModelCard, rows: int, parts: int = 1, **wishes: Any) -> Job:
    """A batch cut into `parts` parts, whatever their size."""
    upload = upload_rows(owner, card, rows)
    if parts > 1:
        split(upload, parts)
    job, _ = submission.submit_batch(owner, upload, Wishes(**wishes))
    return job


def submit_endless(user: Any, card: ModelCard) -> Job:
    """A batch whose part is never read to its end: a fifo that nobody writes to."""
    upload = upload_rows(user, card, rows=4)
    part = Path(default_storage.path(files.input_key(upload.pk, 0)))
    part.unlink()
    os.mkfifo(part)
    job, _ = submission.submit_batch(user, upload, Wishes())
    return job


def split(upload: Upload, parts: int) -> None:
    """Cut an upload into parts of the same number of rows."""
    keys = [files.input_key(upload.pk, part["number"]) for part in upload.plan["parts"]]
    lines = b"".join(files.read(key) for key in keys).splitlines(keepends=True)
    each = len(lines) // parts
    whole = upload.plan["parts"][0]
    upload.plan["parts"] = []
    for number in range(parts):
        mine = lines[number * each : (number + 1) * each if number < parts - 1 else None]
        files.write(files.input_key(upload.pk, number), b"".join(mine))
        first = {"first_row": whole["first_row"] + number * each, "first_line": whole["first_line"] + number * each}
        sizes = {"rows": len(mine), "lines": len(mine), "size_bytes": sum(map(len, mine))}
        upload.plan["parts"].append({"number": number, **first, **sizes})
    upload.save()


def claimed(job: Job, worker: str = "realtime@test") -> VectorClaim:
    claim = leases.claim_job(job.pk, worker)
    assert claim is not None
    return claim


def claimed_chunk(job: Job, number: int = 0, worker: str = "batch@test") -> ChunkClaim:
    chunk = Chunk.objects.get(job=job, number=number)
    if chunk.state == Chunk.State.QUEUED:
        Chunk.objects.filter(pk=chunk.pk).update(state=Chunk.State.RESERVED)
    claim = leases.claim_chunk(job.pk, chunk.pk, chunk.attempt, worker)
    assert claim is not None
    return claim


def scored(rows: int, rejected: int = 0) -> Scored:
    return Scored(scored=rows - rejected, rejected=rejected, spent_s=0.01)


def lapse(job: Job) -> None:
    """Its worker has not beaten for long."""
    Job.objects.filter(pk=job.pk).exclude(lease_until=None).update(lease_until=1.0)
    Chunk.objects.filter(job=job, state=Chunk.State.RUNNING).update(lease_until=1.0)


def now(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)

from __future__ import annotations

import time
from typing import Any

import pytest

from predictions import files, revocation, submission, turns
from predictions.model_cards import ModelCard
from predictions.models import Chunk, Job, State
from predictions.submission import Wishes
from predictions.vitals import vitals
from predictions.worker import part
from predictions.worker.runtime import Model, models
from tests.predictions.jobs import claimed_chunk, csv_of, now, receive, submit_rows

pytestmark = pytest.mark.django_db


class Broken:
    """A device that fails: what torch raises is a plain RuntimeError."""

    device = "cuda:0"

    def __init__(self, card: ModelCard) -> None:
        self.card = card

    def probabilities(self, _: Any) -> Any:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")


class Slow:
    """0.2 s for ten passes, a block."""

    def __init__(self, model: Model) -> None:
        self.card, self.device, self._model = model.card, model.device, model

    def probabilities(self, x: Any) -> Any:
        time.sleep(0.02)
        return self._model.probabilities(x)


@pytest.fixture
def model(digits: ModelCard) -> Model:
    return models.get(digits.ref)


def result_of(job: Job) -> bytes:
    chunk = Chunk.objects.get(job=job)
    return files.read(files.result_key(job.pk, 0, chunk.result_attempt or 0))


def a_file_with_a_bad_row(user: Any, card: ModelCard, on_bad_row: str) -> Job:
    lines = csv_of(card, 4).split(b"\n")
    lines[2] = b"=cmd()" + lines[2][1:]
    upload = receive(user, "bad.csv", [b"\n".join(lines)], card)
    return submission.submit_batch(user, upload, Wishes(on_bad_row=on_bad_row))[0]


def test_each_row_has_its_line_in_the_inputs_order(user: Any, digits: ModelCard, model: Model) -> None:
    job = submit_rows(user, digits, rows=10)
    assert part.work_on(claimed_chunk(job), model) == State.SUCCEEDED
    assert [line.split(b",")[:3] for line in result_of(job).splitlines()] == [
        [str(row + 1).encode(), str(row).encode(), str(row).encode()] for row in range(10)
    ]


def test_the_summary_counts_classes_and_confidences(user: Any, digits: ModelCard, model: Model) -> None:
    job = submit_rows(user, digits, rows=20)
    part.work_on(claimed_chunk(job), model)
    summary = now(job).summary or {}
    assert summary["classes"] == {str(digit): 2 for digit in range(10)} and sum(summary["confidence_histogram"]) == 20


def test_a_bad_row_that_is_skipped_is_written_apart_with_its_line_and_reason(
    user: Any, digits: ModelCard, model: Model
) -> None:
    job = a_file_with_a_bad_row(user, digits, "skip")
    assert part.work_on(claimed_chunk(job), model) == State.SUCCEEDED
    rejected = files.read(files.rejected_key(job.pk, 0, 1)).decode()
    assert rejected.startswith("3,2,pixel_0_0,'=cmd()") and "is not a number" in rejected
    assert [line.split(b",")[0] for line in result_of(job).splitlines()] == [b"1", b"3", b"4"]


def test_a_bad_row_found_while_scoring_fails_the_job_that_wants_all(user: Any, digits: ModelCard, model: Model) -> None:
    job = a_file_with_a_bad_row(user, digits, "reject")
    assert part.work_on(claimed_chunk(job), model) == State.FAILED
    assert (now(job).error or {})["errors"][0]["line"] == 3


def test_a_revoked_part_stops_before_its_next_block_and_ends_the_job(
    user: Any, digits: ModelCard, model: Model
) -> None:
    job = submit_rows(user, digits, rows=10)
    claim = claimed_chunk(job)
    revocation.revoke(job, user)
    assert part.work_on(claim, model) == State.REVOKED and now(job).done == 0


def test_past_the_soft_limit_a_part_stops_before_its_next_block_and_keeps_the_rows_before_it(
    user: Any, digits: ModelCard, model: Model, settings: Any
) -> None:
    settings.BATCH_SOFT_TIME_LIMIT = 0.1
    job = submit_rows(user, digits, rows=10_000)
    assert part.work_on(claimed_chunk(job), Slow(model)) == State.FAILED  # type: ignore[arg-type]
    kept = result_of(job).splitlines()
    assert 0 < len(kept) < 10_000 and kept[-1].startswith(f"{len(kept)},".encode())
    assert (now(job).error or {})["message"].endswith(f"{len(kept):,} of 10,000 rows are kept.")


def test_what_other_workers_finished_meanwhile_counts_towards_the_soft_limit(
    user: Any, digits: ModelCard, model: Model, settings: Any
) -> None:
    settings.BATCH_SOFT_TIME_LIMIT = 10
    claim = claimed_chunk(submit_rows(user, digits, rows=10))
    Job.objects.update(spent_s=11)
    assert part.work_on(claim, model) == State.FAILED and now(claim.job).done == 0


def test_a_part_of_a_job_that_ended_meanwhile_stops_before_its_next_block(
    user: Any, digits: ModelCard, model: Model
) -> None:
    job = submit_rows(user, digits, rows=10, parts=2)
    running, failing = claimed_chunk(job, 0), claimed_chunk(job, 1)
    turns.fail_by(failing, {"code": "time_limit", "message": "It took too long."})
    assert part.work_on(running, model) == State.FAILED and now(job).done == 0
    assert files.read(files.result_key(job.pk, 0, running.attempt)) == b""


def test_a_device_that_fails_is_given_one_more_try_and_then_the_job_fails(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=4)
    assert part.work_on(claimed_chunk(job), Broken(digits)) is None  # type: ignore[arg-type]
    assert part.work_on(claimed_chunk(job), Broken(digits)) == State.FAILED  # type: ignore[arg-type]
    assert now(job).error == {"code": "device_error", "message": "CUDA error: an illegal memory access was encountered"}


def test_an_attempt_that_was_fenced_off_changes_nothing(user: Any, digits: ModelCard, model: Model) -> None:
    claim = claimed_chunk(submit_rows(user, digits, rows=4))
    Chunk.objects.update(attempt=5)
    assert part.work_on(claim, model) is None and now(claim.job).done == 0


def test_the_worker_counts_the_parts_it_did_and_those_that_failed(user: Any, digits: ModelCard) -> None:
    done, failed = vitals.processed, vitals.failed
    part.work_on(claimed_chunk(submit_rows(user, digits, rows=4)), models.get(digits.ref))
    part.work_on(claimed_chunk(submit_rows(user, digits, rows=4)), Broken(digits))  # type: ignore[arg-type]
    assert (vitals.processed - done, vitals.failed - failed) == (2, 1)

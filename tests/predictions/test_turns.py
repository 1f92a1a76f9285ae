from __future__ import annotations

from typing import Any

import pytest
from django_celery_results.models import TaskResult

from predictions import leases, recovery, revocation, turns
from predictions.model_cards import ModelCard
from predictions.models import Chunk, Job, State
from predictions.tallies import Scored
from predictions.turns import Turn
from predictions.workers import report
from tests.predictions.jobs import claimed_chunk, lapse, now, scored, submit_rows

pytestmark = pytest.mark.django_db


def test_the_last_chunk_ends_the_job_in_its_own_transaction(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=6, parts=2)
    assert turns.finish_chunk(claimed_chunk(job, 0), scored(3)) == State.RUNNING
    assert turns.finish_chunk(claimed_chunk(job, 1), scored(3)) == State.SUCCEEDED
    assert (now(job).done, TaskResult.objects.get().status) == (6, "SUCCESS")


def test_a_chunk_is_counted_once_whoever_finishes_it_again(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=6, parts=2)
    late = claimed_chunk(job, 0)
    lapse(job)
    recovery.reap()
    again = claimed_chunk(job, 0)
    assert turns.finish_chunk(late, scored(3)) is None
    assert turns.finish_chunk(again, scored(3)) == State.RUNNING
    assert (now(job).done, now(job).chunks_done) == (3, 1)


def test_a_duplicate_message_finds_nothing_to_claim(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=6, parts=2)
    claim = claimed_chunk(job, 0)
    assert leases.claim_chunk(job.pk, claim.chunk.pk, claim.attempt - 1, "twice") is None


def test_while_a_turn_lasts_the_next_chunk_comes_with_the_finish(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=6, parts=2)
    turn = Turn("batch@test")
    turns.finish_chunk(claimed_chunk(job, 0), scored(3), turn)
    assert turn.claim and (turn.claim.chunk.number, turn.claim.chunk.first_row) == (1, 4)
    assert Chunk.objects.get(job=job, number=1).worker == "batch@test"
    assert turns.finish_chunk(turn.claim, scored(3), turn) == State.SUCCEEDED and turn.claim is None


def test_a_turn_that_is_over_takes_no_other_chunk(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=6, parts=2)
    turn = Turn("batch@test", ends=0.0)
    assert turns.finish_chunk(claimed_chunk(job, 0), scored(3), turn) == State.RUNNING
    assert turn.claim is None and Chunk.objects.get(job=job, number=1).state == Chunk.State.QUEUED


def test_no_chunk_of_a_revoked_batch_comes_with_a_finish(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=9, parts=3)
    first, _running = claimed_chunk(job, 0), claimed_chunk(job, 1)
    revocation.revoke(job, user)
    turn = Turn("batch@test")
    assert turns.finish_chunk(first, scored(3), turn) == State.RUNNING and turn.claim is None


def test_the_pace_of_the_last_seconds_is_kept_and_no_more(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=400, parts=100)
    for number in range(60):
        turns.finish_chunk(claimed_chunk(job, number), scored(4))
        summary = now(job).summary or {}
        for sample in summary["lately"]:
            sample[0] -= 0.3  # so much later is the next
        Job.objects.update(summary=summary)
    times = [at for at, _ in summary["lately"]]
    assert 5 < len(times) < 13 and 5.0 <= times[-1] - times[0] < 6.5


def test_no_more_chunks_are_under_way_than_batch_workers_live(user: Any, digits: ModelCard) -> None:
    for name in ("batch@a", "batch@b"):
        report(name, 1, "host", {"queues": ["batch"], "started": "2026-01-01T00:00Z", "model_state": "ready"})
    job = submit_rows(user, digits, rows=8, parts=4)
    assert turns.reserve(job.pk) == []
    assert Chunk.objects.filter(job=job, state=Chunk.State.RESERVED).count() == 2


def test_a_revoked_batch_keeps_the_rows_of_its_finished_chunks(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=6, parts=2)
    turns.finish_chunk(claimed_chunk(job, 0), scored(3))
    running = claimed_chunk(job, 1)
    assert revocation.revoke(job, user).status == "revoking"
    assert turns.finish_chunk(running, scored(1)) == State.REVOKED
    assert (now(job).state, now(job).done, TaskResult.objects.get().status) == (State.REVOKED, 4, "REVOKED")


def test_rejected_rows_fail_the_job_that_wants_all_and_name_the_places(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=6)
    part = scored(6, rejected=1)
    part.places = [{"line": 4, "column": "pixel_0_0", "message": "'abc' is not a number"}]
    assert turns.finish_chunk(claimed_chunk(job), part) == State.FAILED
    assert (now(job).error or {})["errors"] == part.places


def test_rejected_rows_are_left_out_where_that_was_asked(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=6, on_bad_row="skip")
    assert turns.finish_chunk(claimed_chunk(job), scored(6, rejected=1)) == State.SUCCEEDED


def worked(spent_s: float, rows: int = 3, cut_short: bool = False, rejected: int = 0) -> Scored:
    return Scored(scored=rows - rejected, rejected=rejected, spent_s=spent_s, cut_short=cut_short)


@pytest.fixture
def soft_limit(settings: Any) -> None:
    settings.BATCH_SOFT_TIME_LIMIT = 1


@pytest.mark.usefixtures("soft_limit")
def test_past_the_soft_limit_a_batch_stops_after_its_chunk_and_keeps_its_rows(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=6, parts=2)
    assert turns.finish_chunk(claimed_chunk(job, 0), worked(1.5)) == State.FAILED
    message = "Stopped after 1.5 s of work; the limit is 1 s. 3 of 6 rows are kept."
    assert (now(job).error, now(job).done) == ({"code": "soft_time_limit", "message": message}, 3)


@pytest.mark.usefixtures("soft_limit")
def test_the_soft_limit_is_of_the_work_of_all_chunks(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=9, parts=3)
    assert turns.finish_chunk(claimed_chunk(job, 0), worked(0.6)) == State.RUNNING
    assert turns.finish_chunk(claimed_chunk(job, 1), worked(0.6)) == State.FAILED


@pytest.mark.usefixtures("soft_limit")
def test_a_batch_whose_last_chunk_was_completed_succeeds_though_it_went_over(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=6)
    assert turns.finish_chunk(claimed_chunk(job), worked(1.5, rows=6)) == State.SUCCEEDED


@pytest.mark.usefixtures("soft_limit")
def test_a_last_chunk_that_was_cut_short_fails_the_batch(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=6)
    assert turns.finish_chunk(claimed_chunk(job), worked(1.5, rows=4, cut_short=True)) == State.FAILED
    assert (now(job).error or {})["code"] == "soft_time_limit"


@pytest.mark.usefixtures("soft_limit")
def test_chunks_that_run_elsewhere_keep_their_rows_and_the_last_to_finish_ends_the_batch(
    user: Any, digits: ModelCard
) -> None:
    job = submit_rows(user, digits, rows=9, parts=3)
    first, second = claimed_chunk(job, 0), claimed_chunk(job, 1)
    assert turns.finish_chunk(first, worked(1.5, rows=2, cut_short=True)) == State.RUNNING
    assert turns.reserve(job.pk) == []
    assert turns.finish_chunk(second, worked(0.1)) == State.FAILED
    assert (now(job).error or {})["message"].endswith("5 of 9 rows are kept.")


def test_a_chunk_that_was_cut_short_never_counts_towards_success_whatever_the_limit_is_now(
    user: Any, digits: ModelCard, settings: Any
) -> None:
    job = submit_rows(user, digits, rows=6, parts=2)
    first, second = claimed_chunk(job, 0), claimed_chunk(job, 1)
    turns.finish_chunk(first, worked(0.5, rows=2, cut_short=True))
    settings.BATCH_SOFT_TIME_LIMIT = 1000
    assert turns.finish_chunk(second, worked(0.1)) == State.FAILED
    assert TaskResult.objects.get().status == "FAILURE"


@pytest.mark.usefixtures("soft_limit")
def test_a_worker_that_dies_past_the_soft_limit_leaves_no_batch_running(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=9, parts=3)
    done, dying = claimed_chunk(job, 0), claimed_chunk(job, 1)
    assert turns.finish_chunk(done, worked(1.5)) == State.RUNNING
    assert dying.chunk is not None
    lapse(job)
    recovery.reap()
    assert turns.finish_chunk(claimed_chunk(job, 1), worked(0.0, rows=0, cut_short=True)) == State.FAILED


@pytest.mark.usefixtures("soft_limit")
def test_bad_rows_that_refuse_the_file_are_said_before_the_soft_limit(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=6, parts=2)
    turns.finish_chunk(claimed_chunk(job, 0), worked(1.5, rejected=1))
    assert (now(job).error or {})["message"].endswith("rows cannot be read; no result is kept.")


@pytest.mark.usefixtures("soft_limit")
def test_a_batch_that_keeps_nothing_does_not_say_that_it_kept_rows(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=6, parts=2, store=False)
    turns.finish_chunk(claimed_chunk(job, 0), worked(1.5))
    assert (now(job).error or {})["message"].endswith("No result was to be kept.")


@pytest.mark.usefixtures("soft_limit")
def test_a_batch_that_is_revoked_past_the_soft_limit_is_revoked(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=6, parts=2)
    claim = claimed_chunk(job, 0)
    revocation.revoke(job, user)
    assert turns.finish_chunk(claim, worked(1.5, cut_short=True)) == State.REVOKED


def test_a_chunk_that_the_device_failed_is_tried_once_more(user: Any, digits: ModelCard) -> None:
    claim = claimed_chunk(submit_rows(user, digits, rows=6))
    assert turns.try_again(Job.objects.get(), claim, "CUDA error")
    assert not turns.try_again(Job.objects.get(), claim, "CUDA error")


def test_an_attempt_that_was_fenced_off_fails_no_batch(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=6)
    frozen = claimed_chunk(job)
    lapse(job)
    recovery.reap()
    again = claimed_chunk(job)
    assert turns.fail_by(frozen, {"code": "time_limit", "message": "It took too long."}) is None
    assert turns.finish_chunk(again, scored(6)) == State.SUCCEEDED


def test_a_batch_that_fails_while_it_is_being_stopped_is_revoked(user: Any, digits: ModelCard) -> None:
    claim = claimed_chunk(submit_rows(user, digits, rows=6))
    revocation.revoke(claim.job, user)
    assert turns.fail_by(claim, {"code": "worker_error", "message": "It broke."}) == State.REVOKED

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django_celery_results.models import TaskResult

from predictions import expiry, files, outcomes, submission, turns
from predictions.model_cards import ModelCard
from predictions.models import Job, State, Upload, utc_now
from predictions.submission import Wishes
from tests.predictions.jobs import SUCCESS, claimed, claimed_chunk, now, scored, submit_digit, submit_rows, upload_rows
from workers_admin import keeping

pytestmark = pytest.mark.django_db(transaction=True)
LONG_AGO = utc_now() - timedelta(days=400)


def finished(user: Any, card: ModelCard, **wishes: Any) -> Job:
    claim = claimed(submit_digit(user, card, **wishes))
    outcomes.finish(claim.job.pk, claim.attempt, SUCCESS)
    Job.objects.filter(pk=claim.job.pk).update(expires=LONG_AGO)
    return now(claim.job)


def test_a_result_is_removed_after_its_time_and_the_job_stays(user: Any, digits: ModelCard) -> None:
    job = finished(user, digits)
    assert expiry.expire_results() == 1
    assert now(job).state == State.EXPIRED and now(job).freed_bytes > 0
    assert outcomes.results_of([job.pk]) == {} and TaskResult.objects.filter(task_id=str(job.pk)).exists()


def test_a_result_that_is_kept_does_not_expire(user: Any, digits: ModelCard) -> None:
    job = finished(user, digits)
    Job.objects.update(kept=True)
    assert expiry.expire_results() == 0 and now(job).state == State.SUCCEEDED


@pytest.mark.parametrize("duty", [expiry.expire_results, expiry.forget_history])
def test_what_is_kept_while_the_steward_waits_for_it_stays(
    user: Any, digits: ModelCard, duty: Callable[[], int]
) -> None:
    job = finished(user, digits)
    Job.objects.update(finished=LONG_AGO)
    with transaction.atomic():
        Job.objects.select_for_update().filter(pk=job.pk).first()
        waiting = threading.Thread(target=lambda: (duty(), connection.close()))
        waiting.start()
        time.sleep(0.3)
        keeping.keep([job], user)
    waiting.join()
    assert now(job).state == State.SUCCEEDED and outcomes.results_of([job.pk])


def test_many_results_expire_at_once_and_each_job_says_what_it_freed(user: Any, digits: ModelCard) -> None:
    vector, batch = finished(user, digits), submit_rows(user, digits, rows=4)
    text = TaskResult.objects.get(task_id=str(vector.pk)).result
    submit_digit(user, digits)
    turns.finish_chunk(claimed_chunk(batch), dataclasses.replace(scored(4), result_bytes=1_000))
    Job.objects.exclude(expires=None).update(expires=LONG_AGO)
    assert expiry.expire_results() == 2
    assert now(vector).freed_bytes == len(text) and now(batch).freed_bytes > 1_000


def test_a_result_expires_once_whoever_removes_it(user: Any, digits: ModelCard) -> None:
    job = finished(user, digits)
    assert expiry.expire(job) and not expiry.expire(job)


def test_the_files_of_an_expired_batch_are_deleted_an_hour_later(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=4)
    claim = claimed_chunk(job)
    key = files.result_key(job.pk, 0, claim.attempt)
    files.write(key, b"1,3,3,0.9000\n")
    turns.finish_chunk(claim, scored(4))
    Job.objects.update(expires=LONG_AGO)
    expiry.expire_results()
    assert now(job).state == State.EXPIRED
    assert expiry.delete_result_files() == 0 and files.read(key)
    Job.objects.update(removed=LONG_AGO)
    assert expiry.delete_result_files() == 1 and expiry.delete_result_files() == 0
    with pytest.raises(FileNotFoundError):
        files.read(key)


def test_a_job_is_forgotten_with_its_outcome_and_its_upload_after_the_history(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=4)
    turns.finish_chunk(claimed_chunk(job), scored(4))
    Job.objects.update(finished=LONG_AGO)
    assert expiry.forget_history() == 1
    assert not Job.objects.exists() and not TaskResult.objects.exists() and not Upload.objects.exists()
    assert files.list_inputs(job.upload_id or job.pk) == []


def test_an_input_that_another_job_refers_to_is_kept(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=4)
    turns.finish_chunk(claimed_chunk(job), scored(4))
    Job.objects.update(finished=LONG_AGO)
    other = submit_rows(user, digits, rows=4)
    Job.objects.filter(pk=other.pk).update(upload=job.upload)
    expiry.forget_history()
    assert Upload.objects.filter(pk=job.upload_id).exists()


def test_a_draft_nobody_submitted_is_swept_after_an_hour(user: Any, digits: ModelCard) -> None:
    draft = upload_rows(user, digits, rows=4)
    assert expiry.sweep_drafts() == 0
    Upload.objects.update(created=LONG_AGO)
    assert expiry.sweep_drafts() == 1
    assert not Upload.objects.exists() and files.list_inputs(draft.pk) == []


def test_an_upload_that_broke_off_leaves_nothing_after_the_sweep(user: Any, digits: ModelCard) -> None:
    broken = Upload.objects.create(owner=user, model=digits.ref)
    files.write(files.input_key(broken.pk, 0), b"1,2,3\n")
    Upload.objects.update(created=LONG_AGO)
    expiry.sweep_drafts()
    assert not Upload.objects.exists() and files.list_inputs(broken.pk) == []


def test_a_sweep_that_was_cut_short_is_finished_by_the_next(user: Any, digits: ModelCard) -> None:
    draft = upload_rows(user, digits, rows=4)
    Upload.objects.update(created=LONG_AGO, state=Upload.State.SWEPT)
    assert expiry.sweep_drafts() == 1
    assert not Upload.objects.exists() and files.list_inputs(draft.pk) == []


def test_a_draft_that_is_submitted_while_the_sweep_waits_for_it_is_kept(user: Any, digits: ModelCard) -> None:
    draft = upload_rows(user, digits, rows=4)
    swept = []
    with transaction.atomic():
        submission.submit_batch(user, draft, Wishes())
        sweep = threading.Thread(target=lambda: (swept.append(expiry._sweep(draft)), connection.close()))
        sweep.start()
        time.sleep(0.3)
    sweep.join()
    draft.refresh_from_db()
    assert (swept, draft.state) == ([False], Upload.State.DONE)


def test_chores_go_on_until_nothing_is_left(user: Any, digits: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "AT_ONCE", 2)
    for _ in range(5):
        finished(user, digits)
    assert sum(iter(expiry.expire_results, 0)) == 5
    Job.objects.update(removed=LONG_AGO, finished=LONG_AGO)
    assert expiry.delete_result_files() == 5 and expiry.forget_history() == 5
    assert not Job.objects.exists() and not TaskResult.objects.exists()


def test_one_that_is_kept_among_many_is_not_forgotten(user: Any, digits: ModelCard) -> None:
    jobs = [finished(user, digits) for _ in range(3)]
    Job.objects.update(finished=LONG_AGO)
    keeping.keep([jobs[1]], user)
    assert expiry.forget_history() == 2 and list(Job.objects.all()) == [jobs[1]]

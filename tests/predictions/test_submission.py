from __future__ import annotations

from typing import Any

import pytest

from predictions import submission
from predictions.clock import now_s
from predictions.errors import InvalidInput, KeyReused, WrongState
from predictions.model_cards import ModelCard
from predictions.models import Chunk, Job, State, Upload
from predictions.submission import Wishes
from tests.predictions.jobs import now, submit_digit, submit_rows, upload_rows

pytestmark = pytest.mark.django_db


def test_a_vector_is_queued_with_the_default_priority_of_its_queue(user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    assert (job.state, job.queue, job.priority) == (State.QUEUED, "realtime", 9)


def test_the_steward_may_publish_a_fresh_job_two_seconds_later_by_the_databases_clock(
    user: Any, digits: ModelCard
) -> None:
    assert 1.0 < (now(submit_digit(user, digits)).publish_at or 0) - now_s() < 2.1


def test_a_batch_has_a_chunk_for_each_part_and_one_of_them_reserved(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=12, parts=3)
    states = list(Chunk.objects.filter(job=job).order_by("number").values_list("state", flat=True))
    assert states == ["reserved", "queued", "queued"]


def test_the_same_idempotency_key_and_body_give_the_same_job(user: Any, digits: ModelCard) -> None:
    wishes = Wishes(idempotency=("once", "hash"))
    first, _ = submission.submit_vector(user, [0.0] * 64, digits, wishes)
    again, replayed = submission.submit_vector(user, [0.0] * 64, digits, wishes)
    assert replayed and again.pk == first.pk and Job.objects.count() == 1


def test_the_same_idempotency_key_with_another_body_is_refused_and_stores_nothing(user: Any, digits: ModelCard) -> None:
    submission.submit_vector(user, [0.0] * 64, digits, Wishes(idempotency=("once", "one")))
    with pytest.raises(KeyReused, match="'once' was used with another body"):
        submission.submit_vector(user, [1.0] * 64, digits, Wishes(idempotency=("once", "two")))
    assert Job.objects.count() == 1


def test_two_people_may_use_the_same_idempotency_key(user: Any, other_user: Any, digits: ModelCard) -> None:
    wishes = Wishes(idempotency=("once", "hash"))
    for owner in (user, other_user):
        submission.submit_vector(owner, [0.0] * 64, digits, wishes)
    assert Job.objects.count() == 2


def test_a_draft_that_was_swept_cannot_be_submitted(user: Any, digits: ModelCard) -> None:
    upload = upload_rows(user, digits, rows=2)
    Upload.objects.filter(pk=upload.pk).update(state=Upload.State.SWEPT)
    with pytest.raises(InvalidInput, match="no longer kept"):
        submission.submit_batch(user, upload, Wishes())
    assert not Job.objects.exists()


def test_a_retry_is_a_new_job_on_the_same_input(user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    Job.objects.filter(pk=job.pk).update(state=State.FAILED)
    job.refresh_from_db()
    again = submission.retry(job, user)
    assert again.pk != job.pk and again.retry_of_id == job.pk and again.vector == job.vector


def test_a_batch_is_retried_on_the_parts_it_was_uploaded_in(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=6, parts=2)
    Job.objects.filter(pk=job.pk).update(state=State.REVOKED)
    job.refresh_from_db()
    again = submission.retry(job, user)
    assert again.upload_id == job.upload_id and Chunk.objects.filter(job=again).count() == 2


def test_a_job_that_has_not_ended_cannot_be_retried(user: Any, digits: ModelCard) -> None:
    with pytest.raises(WrongState, match="The job is queued"):
        submission.retry(submit_digit(user, digits), user)

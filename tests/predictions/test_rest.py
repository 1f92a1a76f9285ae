"""Run the rest: what a stopped batch left, so that both results together are those of one whole run."""

from __future__ import annotations

import io
import random
import time
from typing import Any

import numpy as np
import pytest
from django.test import Client

from predictions import files, rest, revocation, submission
from predictions.audit import Audit
from predictions.errors import WrongState
from predictions.model_cards import ModelCard
from predictions.models import Chunk, Job, State, Upload
from predictions.submission import Wishes
from predictions.worker import part
from predictions.worker.runtime import Model, models
from tests.predictions.calling import Caller
from tests.predictions.jobs import (
    claimed_chunk,
    now,
    random_csv,
    receive,
    rows_kept,
    split,
    submit_digit,
    submit_random,
    submit_rows,
)

pytestmark = pytest.mark.django_db


class StoppedAfter:
    """The model, and somebody who revokes the job during one of its passes."""

    def __init__(self, model: Model, passes: int, job: Job, by: Any) -> None:
        self.card, self.device, self._model, self._job, self._by = model.card, model.device, model, job, by
        self._left = passes

    def probabilities(self, x: Any) -> Any:
        self._left -= 1
        if self._left == 0:
            revocation.revoke(self._job, self._by)
            time.sleep(0.06)  # longer than a worker goes on without asking
        return self._model.probabilities(x)


@pytest.fixture
def model(digits: ModelCard) -> Model:
    return models.get(digits.ref)


def score(job: Job, model: Any) -> Job:
    """All of its chunks, one after another, as long as it runs."""
    for chunk in Chunk.objects.filter(job=job).order_by("number"):
        if part.work_on(claimed_chunk(job, chunk.number), model) != State.RUNNING:
            break
    return now(job)


def stopped(job: Job, by: Any, model: Model, passes: int) -> Job:
    return score(job, StoppedAfter(model, passes, job, by))


def by_row(*results: bytes) -> list[bytes]:
    lines = b"".join(results).splitlines()
    return sorted(lines, key=lambda line: int(line.partition(b",")[0]))


def revoked(user: Any, card: ModelCard, model: Model, **wishes: Any) -> Job:
    """One that was stopped within the second of its three parts."""
    return stopped(submit_random(user, card, 12_000, parts=3, **wishes), user, model, passes=20)


@pytest.mark.parametrize("seed", range(4))
def test_stopped_at_any_moment_both_results_are_those_of_one_whole_run(
    user: Any, digits: ModelCard, model: Model, seed: int
) -> None:
    whole = score(submit_random(user, digits, 12_000, parts=2), model)
    first = stopped(submit_random(user, digits, 12_000, parts=3), user, model, random.Random(seed).randint(1, 40))
    second = score(rest.rest(first, user), model)
    assert (first.state, second.state, first.done + second.done) == (State.REVOKED, State.SUCCEEDED, 12_000)
    assert by_row(rows_kept(first), rows_kept(second)) == rows_kept(whole).splitlines()


def test_a_table_is_continued_after_the_rows_that_were_reached(user: Any, digits: ModelCard, model: Model) -> None:
    file = io.BytesIO()
    np.save(file, np.random.default_rng(0).uniform(0, 16, (12_000, digits.width)).astype(np.float32))
    upload = receive(user, "rows.npy", [file.getvalue()], digits)
    whole = score(submission.submit_batch(user, upload, Wishes())[0], model)
    first = stopped(submission.submit_batch(user, upload, Wishes())[0], user, model, passes=20)
    second = score(rest.rest(first, user), model)
    assert 0 < first.done < 12_000 and second.state == State.SUCCEEDED
    assert by_row(rows_kept(first), rows_kept(second)) == rows_kept(whole).splitlines()


def test_a_rest_that_was_stopped_has_a_rest_of_its_own(user: Any, digits: ModelCard, model: Model) -> None:
    whole = score(submit_random(user, digits, 12_000), model)
    first = revoked(user, digits, model)
    second = stopped(rest.rest(first, user), user, model, passes=10)
    third = score(rest.rest(second, user), model)
    assert 0 < second.done < second.total and third.state == State.SUCCEEDED
    assert by_row(*map(rows_kept, (first, second, third))) == rows_kept(whole).splitlines()


def test_a_part_that_was_stopped_is_read_on_from_its_line(user: Any, digits: ModelCard, model: Model) -> None:
    lines = random_csv(digits, 12_000).splitlines(keepends=True)
    lines[50] = b"\n\n" + lines[50]
    lines[8_000] = b"\n \nabc" + lines[8_000][lines[8_000].index(b",") :]
    upload = receive(user, "bad.csv", [b"".join(lines)], digits)
    first = stopped(submission.submit_batch(user, upload, Wishes(on_bad_row="skip"))[0], user, model, passes=5)
    score(rest.rest(first, user), model)
    left = Chunk.objects.get(job__is_rest=True, rejected=1)
    assert left.start > 0
    rejected = files.read(files.rejected_key(left.job_id, left.number, 1))
    assert rejected.startswith(b"8005,8000,pixel_0_0,abc")


def test_the_rest_says_what_it_continues_and_how_many_rows(user: Any, digits: ModelCard, model: Model) -> None:
    first = revoked(user, digits, model)
    second = rest.rest(first, user)
    assert (second.retry_of_id, second.is_rest, second.total) == (first.pk, True, 12_000 - first.done)
    assert second.notes[-1] == (
        f"Continues {first.pk}: the {second.total:,} of its 12,000 rows that it had not reached."
    )


def test_a_batch_that_was_revoked_before_it_started_is_continued_from_its_first_row(
    user: Any, digits: ModelCard
) -> None:
    job = submit_rows(user, digits, rows=6, parts=2)
    revocation.revoke(job, user)
    assert rest.rest(job, user).total == 6


def test_what_the_soft_time_limit_left_can_be_run(user: Any, digits: ModelCard, model: Model, settings: Any) -> None:
    job = submit_rows(user, digits, rows=6, parts=2)
    settings.BATCH_SOFT_TIME_LIMIT = 0
    part.work_on(claimed_chunk(job), model)
    assert now(job).error and rest.rest(now(job), user).total == 6


def test_a_retried_rest_takes_the_same_rows(user: Any, digits: ModelCard, model: Model) -> None:
    first = revoked(user, digits, model)
    second = score(rest.rest(first, user), model)
    again = score(submission.retry(second, user), model)
    assert (again.total, rows_kept(again)) == (second.total, rows_kept(second))


def refusal(job: Job, by: Any) -> str:
    with pytest.raises(WrongState) as refused:
        rest.rest(job, by)
    assert not rest.may_run_rest(job)
    return str(refused.value)


def test_a_job_is_not_continued_twice(user: Any, digits: ModelCard, model: Model) -> None:
    first = revoked(user, digits, model)
    second = rest.rest(first, user)
    assert refusal(first, user).startswith(f"The job was continued as {second.pk}, which is queued.")
    score(second, model)
    assert refusal(first, user).startswith(f"The job was continued as {second.pk}, which is succeeded.")


def test_a_rest_that_kept_rows_is_continued_instead_of_its_first_job(
    user: Any, digits: ModelCard, model: Model
) -> None:
    first = revoked(user, digits, model)
    stopped(rest.rest(first, user), user, model, passes=10)
    assert refusal(first, user).endswith("Continue that one instead.")


def test_a_rest_that_came_to_nothing_leaves_its_rows_to_another(user: Any, digits: ModelCard, model: Model) -> None:
    first = revoked(user, digits, model)
    revocation.revoke(rest.rest(first, user), user)
    assert rest.rest(first, user).total == 12_000 - first.done


def test_a_retry_of_a_rest_has_its_rows_too(user: Any, digits: ModelCard, model: Model) -> None:
    first = revoked(user, digits, model)
    second = rest.rest(first, user)
    revocation.revoke(second, user)
    submission.retry(now(second), user)
    assert "which is queued" in refusal(first, user)


def a_bad_file(user: Any, card: ModelCard, bad_row: int) -> Job:
    """Of 12,000 rows in three parts, rejected as a whole; what is judged at the upload is good."""
    lines = random_csv(card, 12_000).splitlines(keepends=True)
    lines[bad_row] = b"abc" + lines[bad_row]
    upload = receive(user, "bad.csv", [b"".join(lines)], card)
    split(upload, 3)
    return submission.submit_batch(user, upload, Wishes(on_bad_row="reject"))[0]


def test_a_file_that_is_refused_for_a_bad_row_has_no_rest(user: Any, digits: ModelCard, model: Model) -> None:
    first = stopped(a_bad_file(user, digits, bad_row=3_500), user, model, passes=20)
    assert (first.state, first.rejected) == (State.REVOKED, 1)
    assert "on_bad_row=reject, which refuses the whole file" in refusal(first, user)


def test_a_bad_row_in_the_rest_fails_it_and_leaves_what_the_first_job_kept(
    user: Any, digits: ModelCard, model: Model
) -> None:
    first = stopped(a_bad_file(user, digits, bad_row=11_500), user, model, passes=20)
    second = score(rest.rest(first, user), model)
    assert (second.state, (second.error or {})["code"]) == (State.FAILED, "invalid_input")
    assert len(rows_kept(first).splitlines()) == first.done > 0


def test_what_cannot_be_continued_says_why(user: Any, digits: ModelCard, model: Model) -> None:
    assert "one vector" in refusal(submit_digit(user, digits), user)
    running = submit_rows(user, digits, rows=6)
    assert "The job is queued" in refusal(running, user)
    assert "retry it instead" in refusal(score(running, model), user)
    gone = revoked(user, digits, model)
    Upload.objects.filter(jobs=gone).update(state=Upload.State.SWEPT)
    assert "no longer kept" in refusal(now(gone), user)


def test_a_job_whose_last_row_was_reached_has_nothing_left(user: Any, digits: ModelCard, model: Model) -> None:
    job = stopped(submit_random(user, digits, 100), user, model, passes=1)
    assert job.state == State.REVOKED and "Nothing is left" in refusal(job, user)


def test_a_job_stopped_by_a_release_that_noted_no_place_is_not_continued(
    user: Any, digits: ModelCard, model: Model
) -> None:
    job = revoked(user, digits, model)
    Chunk.objects.filter(job=job).update(stopped_at=None)
    assert "did not note where" in refusal(job, user)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("clean_redis")
def test_the_api_runs_the_rest_once(user: Any, digits: ModelCard, model: Model) -> None:
    first, caller = revoked(user, digits, model), Caller(user)
    answer = caller.post(f"/jobs/{first.pk}/rest")
    assert (answer.status_code, answer.json()["retry_of"]) == (202, str(first.pk))
    assert answer["Location"] == f"/api/v1/jobs/{answer.json()['id']}"
    assert caller.post(f"/jobs/{first.pk}/rest").status_code == 409


def test_the_page_offers_the_rest_until_it_was_taken(user: Any, digits: ModelCard, model: Model) -> None:
    first, client = revoked(user, digits, model), Client()
    client.force_login(user)
    assert "Run the rest" in client.get(first.get_absolute_url()).content.decode()
    taken = client.post(f"/jobs/{first.pk}/rest/")
    second = Job.objects.get(is_rest=True)
    assert taken["Location"] == second.get_absolute_url()
    shown = client.get(first.get_absolute_url()).content.decode()
    assert "Run the rest" not in shown and "Continued as" in shown and str(second.pk) in shown
    assert "Rest of" in client.get(second.get_absolute_url()).content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("clean_redis")
def test_nobody_runs_the_rest_of_another_users_job(user: Any, other_user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=6)
    revocation.revoke(job, user)
    assert Caller(other_user).post(f"/jobs/{job.pk}/rest").status_code == 404


def test_staff_who_run_anothers_rest_are_noted(user: Any, staff: Any, digits: ModelCard) -> None:
    job, client = submit_rows(user, digits, rows=6), Client()
    revocation.revoke(job, user)
    client.force_login(staff)
    client.post(f"/jobs/{job.pk}/rest/")
    assert Job.objects.get(is_rest=True).owner == user and Audit.objects.filter(action="rest").exists()

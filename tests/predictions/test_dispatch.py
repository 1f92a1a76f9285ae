from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from predictions import broker, dispatch, recovery
from predictions.model_cards import ModelCard
from predictions.models import Job, utc_now
from tests.predictions.jobs import now, submit_digit, submit_rows
from tests.processes import eventually

pytestmark = pytest.mark.django_db


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("clean_redis")
def test_an_accepted_job_is_published_under_its_own_id_and_confirmed(user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    assert eventually(lambda: broker.waiting_ids("realtime") == [str(job.pk)])
    assert eventually(lambda: now(job).publish_at is None and now(job).published is not None)


def test_a_broker_that_is_away_costs_the_submit_nothing_and_the_row_stays_due(user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    assert dispatch.Sender().send([]) == [] and now(job).publish_at is not None


def test_a_confirmation_that_comes_after_a_rescue_does_not_undo_it(user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    message = dispatch.for_job(job)
    Job.objects.filter(pk=job.pk).update(attempt=1, publish_at=1.0)
    dispatch.confirm([message], utc_now())
    assert now(job).publish_at == 1.0


def test_a_confirmation_does_not_undo_a_postponement(user: Any, digits: ModelCard) -> None:
    job, batch = submit_digit(user, digits), submit_rows(user, digits, rows=4)
    recovery.postpone(job.pk, 5.0)
    recovery.postpone(batch.pk, 5.0)
    chunk = batch.parts.get()
    dispatch.confirm([dispatch.for_job(job), dispatch.for_chunk(batch, chunk)], utc_now())
    chunk.refresh_from_db()
    assert now(job).publish_at is not None and chunk.publish_at is not None


def test_many_confirmations_are_a_handful_of_statements(
    user: Any, digits: ModelCard, django_assert_num_queries: Any
) -> None:
    messages = [dispatch.for_job(submit_digit(user, digits)) for _ in range(10)]
    locks = int(connection.features.has_select_for_update)
    with django_assert_num_queries(2 + locks, connection=connection):
        dispatch.confirm(messages, utc_now())

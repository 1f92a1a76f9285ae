from __future__ import annotations

import signal
import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from predictions import broker, dispatch, recovery
from predictions.dispatch import Message
from predictions.model_cards import ModelCard
from predictions.models import Job, utc_now
from predictions.timeline import timeline
from tests.predictions.jobs import claimed, now, submit_digit, submit_rows
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


def test_a_job_that_was_claimed_before_the_confirmation_costs_one_look(
    user: Any, digits: ModelCard, django_assert_num_queries: Any
) -> None:
    messages = [dispatch.for_job(claimed(submit_digit(user, digits)).job) for _ in range(3)]
    with django_assert_num_queries(1, connection=connection):
        dispatch.confirm(messages, utc_now())


def test_each_job_is_told_when_its_first_message_was_sent(user: Any, digits: ModelCard) -> None:
    first, then = utc_now() - timedelta(seconds=3), utc_now()
    once, twice = submit_digit(user, digits), submit_digit(user, digits)
    dispatch.confirm([dispatch.for_job(twice)], first)
    Job.objects.filter(pk=twice.pk).update(publish_at=1.0)
    dispatch.confirm([dispatch.for_job(once), dispatch.for_job(twice)], then)
    assert (now(once).published, now(twice).published, now(twice).publish_at) == (then, first, None)


def test_the_page_of_a_job_that_was_claimed_sooner_says_that_it_was_published(user: Any, digits: ModelCard) -> None:
    job = claimed(submit_digit(user, digits)).job
    dispatch.confirm([dispatch.for_job(job)], utc_now())
    words = [moment.words for moment in timeline(now(job))]
    assert words[:2] == ["Accepted", "Published to realtime"] and words[2].startswith("Started")


def vectors(number: int, priority: int = 9) -> list[Message]:
    ids = [uuid4() for _ in range(number)]
    return [Message(dispatch.PREDICT, ([1.0], "m@1"), str(pk), "realtime", priority, 0, pk, None, 0) for pk in ids]


@pytest.mark.usefixtures("clean_redis")
def test_what_is_sent_at_once_waits_in_its_order() -> None:
    messages = vectors(3)
    dispatch.Sender().send(messages)
    assert broker.waiting_ids("realtime") == [message.task_id for message in messages]


@pytest.mark.usefixtures("clean_redis")
def test_what_is_sent_at_once_waits_in_its_order_in_each_band() -> None:
    low, urgent = vectors(3, priority=2), vectors(3)
    mixed = [low[0], urgent[0], low[1], urgent[1], low[2], urgent[2]]
    assert dispatch.Sender().send(mixed) == mixed
    assert broker.waiting_ids("realtime") == [message.task_id for message in urgent + low]


@pytest.mark.usefixtures("clean_redis")
@pytest.mark.parametrize("messages", [vectors(2), vectors(1) + vectors(1, priority=3)], ids=["one band", "two bands"])
def test_a_full_redis_takes_nothing_and_nothing_counts_as_sent(messages: list[Message]) -> None:
    sender = dispatch.Sender()
    broker.client().config_set("maxmemory", 1)
    try:
        assert sender.send(messages) == []
    finally:
        broker.client().config_set("maxmemory", 0)
    assert broker.depths()["realtime"].waiting == 0
    assert sender.send(messages) == messages


@pytest.mark.usefixtures("clean_redis")
def test_a_connection_that_redis_has_closed_costs_no_message() -> None:
    sender, (first, second) = dispatch.Sender(), vectors(2)
    sender.send([first])
    broker.client().client_kill_filter(_type="normal", skipme=True)
    assert sender.send([second]) == [second]


def test_a_frozen_redis_is_waited_for_once(clean_redis: None, redis_server: Any, settings: Any) -> None:
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, "socket_timeout": 1.0}
    sender, (first, second) = dispatch.Sender(), vectors(2)
    assert sender.send([first]) == [first]
    redis_server.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    try:
        assert sender.send([second]) == []
        waited_s = time.monotonic() - began
    finally:
        redis_server.send_signal(signal.SIGCONT)
    assert 0.9 < waited_s < 1.9

from __future__ import annotations

from typing import Any

import pytest

from predictions import broker, dispatch, lost_messages, recovery
from predictions.model_cards import ModelCard
from predictions.models import Job
from predictions.queues import BANDS
from tests.predictions.jobs import claimed, now, submit_digit, submit_rows
from tests.predictions.test_recovery import make_due

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]


def published(*jobs: Job) -> None:
    make_due()
    recovery.publish_due(dispatch.Sender())


def lose(queue: str) -> None:
    """As a worker does that is killed between taking a message and noting that it has it (facts 3)."""
    broker.client().delete(*(broker.band_key(queue, *band) for band in BANDS))


def looked_at(times: int) -> int:
    census = lost_messages.Census()
    return sum(census.check() for _ in range(times))


def test_a_message_that_redis_lost_in_a_quiet_queue_is_sent_again(user: Any, digits: ModelCard) -> None:
    job, batch = submit_digit(user, digits), submit_rows(user, digits, rows=4)
    published(job, batch)
    lose("realtime")
    lose("batch")
    assert looked_at(lost_messages.LOOKS) == 2
    assert recovery.publish_due(dispatch.Sender()) == 2
    assert broker.waiting_ids("realtime") == [str(job.pk)] and broker.depths()["batch"].waiting == 1


def test_it_is_told_apart_from_those_that_wait(user: Any, digits: ModelCard) -> None:
    before, lost = submit_digit(user, digits, priority=1), submit_digit(user, digits, priority=9)
    published(before, lost)
    broker.client().delete(broker.band_key("realtime", 9, 0))
    looked_at(lost_messages.LOOKS)
    assert (now(before).publish_at, now(lost).publish_at is None) == (None, False)


def test_what_waits_or_runs_is_not_sent_again(user: Any, digits: ModelCard) -> None:
    waiting, running = submit_digit(user, digits), submit_digit(user, digits)
    published(waiting, running)
    claimed(running)
    assert looked_at(2 * lost_messages.LOOKS) == 0


def test_a_message_on_its_way_is_not_missed_at_once(user: Any, digits: ModelCard) -> None:
    published(submit_digit(user, digits))
    lose("realtime")
    assert looked_at(lost_messages.LOOKS - 1) == 0


def test_of_a_very_deep_queue_those_that_go_first_are_sent_again(
    user: Any, digits: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lost_messages, "TOLD_APART", 0)
    first, second = submit_digit(user, digits, priority=1), submit_digit(user, digits, priority=9)
    published(first, second)
    broker.client().delete(broker.band_key("realtime", 9, 0))
    assert looked_at(lost_messages.LOOKS) == 1
    assert now(first).publish_at is None and now(second).publish_at is not None


def test_more_than_are_sent_at_once_are_looked_for_again_at_the_next_look(
    user: Any, digits: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lost_messages, "AT_ONCE", 2)
    published(*(submit_digit(user, digits) for _ in range(5)))
    lose("realtime")
    assert looked_at(lost_messages.LOOKS + 2) == 5


def test_a_band_is_read_in_pages(user: Any, digits: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "PAGE", 2)
    jobs = [submit_digit(user, digits) for _ in range(5)]
    published(*jobs)
    assert broker.waiting_ids("realtime") == [str(job.pk) for job in jobs]

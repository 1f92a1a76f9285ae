from __future__ import annotations

import json
from typing import Any

import pytest

from predictions import broker, dispatch, exports, fairness, leases, outcomes, revocation
from predictions.model_cards import ModelCard
from predictions.models import Chunk, Export, Job
from predictions.queues import BANDS, band_key
from tests.predictions.jobs import SUCCESS, claimed, claimed_chunk, now, submit_digit, submit_rows
from tests.processes import eventually
from workers_admin import depths
from workers_admin.contract import queue_json
from workers_admin.depths import QueueDepth

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def redis(clean_redis: None) -> None:
    """Messages are real ones."""


def depth_of(queue: str = "realtime") -> QueueDepth:
    depth = next(depth for depth in depths.depths() if depth.name == queue)
    held = (depth.waiting or 0) + (depth.unacked or 0)
    assert depth.database_queued == held + depth.unpublished + (depth.missing or 0) - (depth.stale or 0) - depth.running
    return depth


def published(job: Job) -> Job:
    """Its messages are in Redis, and the database knows."""
    rows = Job.objects.filter(pk=job.pk) if job.kind == "realtime" else Chunk.objects.filter(job=job, state="reserved")
    assert eventually(lambda: not rows.exclude(publish_at=None).exists())
    return job


def deliver(queue: str) -> None:
    """Move one message to where kombu keeps what was delivered. Source: kombu.transport.redis.QoS.append."""
    keys = [band_key(queue, *band) for band in BANDS]
    message = next(message for message in (broker.client().rpop(key) for key in keys) if message)
    tag = json.loads(message)["properties"]["delivery_tag"]
    broker.client().hset(broker.UNACKED, tag, json.dumps([json.loads(message), "", queue]))


def test_what_waits_is_counted_in_all_bands(user: Any, digits: ModelCard) -> None:
    for priority in (9, 9, 5, 0):
        published(submit_digit(user, digits, priority=priority))
    depth = depth_of()
    assert (depth.waiting, depth.waiting_by_priority, depth.database_queued) == (4, {9: 2, 5: 1, 0: 1}, 4)
    assert list(queue_json(depth)["waiting_by_priority"]) == ["9", "5", "0"]


def test_both_lanes_of_a_priority_are_told_as_one(
    user: Any, other_user: Any, digits: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fairness, "MANY_WAITING", 0)
    jobs = [published(submit_digit(owner, digits)) for owner in (user, user, other_user)]
    assert [job.lane for job in jobs] == [0, 1, 0]
    assert (depth_of().waiting_by_priority, depth_of().missing) == ({9: 3}, 0)


def test_what_was_delivered_is_unacknowledged_and_then_running(user: Any, digits: ModelCard) -> None:
    job = published(submit_digit(user, digits))
    deliver("realtime")
    assert (depth_of().unacked, depth_of().running, depth_of().database_queued) == (1, 0, 1)
    claimed(job)
    assert (depth_of().unacked, depth_of().running, depth_of().database_queued) == (1, 1, 0)


def test_what_was_not_sent_yet_is_unpublished(user: Any, digits: ModelCard) -> None:
    job = published(submit_digit(user, digits))
    broker.client().flushall()
    Job.objects.filter(pk=job.pk).update(publish_at=9e9)
    assert (depth_of().unpublished, depth_of().missing) == (1, 0)


def test_what_was_sent_and_is_nowhere_is_missing(user: Any, digits: ModelCard) -> None:
    published(submit_digit(user, digits))
    broker.client().flushall()
    assert (depth_of().missing, depth_of().waiting) == (1, 0)


def test_a_message_whose_job_has_moved_on_is_stale(user: Any, digits: ModelCard) -> None:
    revocation.revoke(published(submit_digit(user, digits)), user)
    assert (depth_of().stale, depth_of().database_queued) == (1, 0)


def test_a_second_message_for_the_same_job_is_stale(user: Any, digits: ModelCard) -> None:
    job = published(submit_digit(user, digits))
    dispatch.Sender().send([dispatch.for_job(job)])
    assert (depth_of().waiting, depth_of().stale, depth_of().database_queued) == (2, 1, 1)


def test_missing_and_stale_do_not_hide_each_other(user: Any, digits: ModelCard) -> None:
    gone = published(submit_digit(user, digits))
    broker.client().flushall()
    revocation.revoke(published(submit_digit(user, digits)), user)
    assert (depth_of().missing, depth_of().stale) == (1, 1) and gone


def test_of_too_many_messages_only_the_excess_is_told(
    user: Any, digits: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(depths, "TOLD_APART", 1)
    first, *_ = [published(submit_digit(user, digits)) for _ in range(3)]
    assert (depth_of().waiting, depth_of().missing, depth_of().stale) == (3, 0, 0)
    revocation.revoke(first, user)
    assert (depth_of().stale, depth_of().database_queued) == (1, 2)


def test_a_batch_counts_its_parts_that_are_due(user: Any, digits: ModelCard) -> None:
    published(submit_rows(user, digits, rows=4, parts=2))
    assert (depth_of("batch").waiting, depth_of("batch").database_queued, depth_of("batch").stale) == (1, 1, 0)


def test_a_worker_that_goes_on_with_the_next_part_holds_no_stale_message(user: Any, digits: ModelCard) -> None:
    job = published(submit_rows(user, digits, rows=4, parts=2))
    deliver("batch")
    claimed_chunk(job, 0)
    Chunk.objects.filter(job=job, number=0).update(state="done")
    claimed_chunk(job, 1)
    assert (depth_of("batch").unacked, depth_of("batch").running, depth_of("batch").stale) == (1, 1, 0)


def test_a_message_that_is_not_ours_is_stale(user: Any) -> None:
    broker.client().lpush("default", json.dumps({"headers": {"id": "1", "task": "other.task"}, "body": ""}))
    assert (depth_of("default").waiting, depth_of("default").stale) == (1, 1)


def test_the_oldest_wait_is_that_of_the_oldest_queued_job(user: Any, digits: ModelCard) -> None:
    assert depth_of().oldest_wait_s is None
    submit_digit(user, digits)
    assert 0 <= (depth_of().oldest_wait_s or 0) < 30


def test_without_redis_the_database_is_told_and_the_rest_is_unknown(
    user: Any, digits: ModelCard, settings: Any
) -> None:
    published(submit_digit(user, digits))
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    broker.client.cache_clear()
    try:
        depth = depths.depths()[0]
    finally:
        broker.client.cache_clear()
    assert (depth.waiting, depth.missing, depth.database_queued) == (None, None, 1)
    assert depth.broker_error.startswith("Redis does not answer:")


def test_a_file_to_make_is_awaited_on_default_and_nowhere_else(user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    outcomes.finish(job.pk, claimed(job).attempt, SUCCESS)
    export = exports.ask(now(job))
    assert eventually(lambda: Export.objects.get().publish_at is None)
    depth = depth_of("default")
    assert (depth.waiting, depth.database_queued, depth.stale, depth.missing) == (1, 1, 0, 0)
    deliver("default")
    assert leases.claim_export(job.pk, export.pk, export.attempt, "batch@test")
    depth = depth_of("default")
    assert (depth.database_queued, depth.running, depth.stale, depth.missing) == (0, 1, 0, 0)
    assert depth_of("batch").database_queued == 0

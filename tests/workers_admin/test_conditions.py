from __future__ import annotations

import pytest

from tests.workers_admin.facts import a_node, depth, found
from workers_admin.facts import missing_for_s
from workers_admin.redis_look import RedisLook


def test_nothing_is_said_when_all_is_well() -> None:
    assert found() == []


def test_a_queue_that_waits_without_a_worker_comes_with_the_command_that_starts_one() -> None:
    (condition,) = found(depths=[depth("batch", database_queued=812, consumers=0)])
    assert condition.words == "batch: 812 waiting, no worker. Start one:"
    assert condition.command == (
        "CELERY_CUSTOM_WORKER_POOL=predictions.worker.pool:ModelPool "
        ".venv/bin/celery -A inference_site worker --pool=custom -Q batch,default -n batch2@%h"
    )


def test_an_empty_queue_without_a_worker_is_no_matter() -> None:
    assert found(depths=[depth("batch", consumers=0)]) == []


@pytest.mark.django_db
def test_a_queue_is_not_called_idle_while_a_worker_starts_that_has_not_said_what_it_serves() -> None:
    assert found(nodes=[a_node(state="starting", queues=[])], depths=[depth(database_queued=3, consumers=0)]) == []


@pytest.mark.django_db
def test_a_silent_worker_is_a_warning_that_leads_to_its_card() -> None:
    (condition,) = found(nodes=[a_node(age_s=7)])
    assert condition.words.startswith("realtime@here is silent: no heartbeat for 7.0 s") and not condition.is_bad
    assert condition.href == "/console/workers/#worker-realtime-here"


@pytest.mark.django_db
def test_a_lost_worker_is_bad() -> None:
    (condition,) = found(nodes=[a_node(age_s=13)])
    assert condition.words.startswith("realtime@here is lost: no heartbeat for 13 s") and condition.is_bad


@pytest.mark.django_db
def test_a_model_that_failed_to_load_is_told_with_its_sentence() -> None:
    (condition,) = found(nodes=[a_node(model_state="failed", model_error="The file's hash is not its card's.")])
    assert condition.words == "realtime@here has no model. The file's hash is not its card's."


def test_a_steward_that_fell_silent_comes_with_its_command() -> None:
    (condition,) = found(steward_age_s=6.0)
    assert condition.words.startswith("The steward has been silent for 6.0 s") and condition.command.endswith(
        "manage.py steward"
    )


def test_a_steward_that_never_ran_is_said_so() -> None:
    assert found(steward_age_s=None)[0].words.startswith("The steward has never run")


def test_redis_that_does_not_answer_is_named_with_a_command_that_asks_it() -> None:
    (condition,) = found(redis_error="Redis does not answer: timed out.")
    assert (
        condition.words.startswith("Redis does not answer: timed out.")
        and condition.command == "redis-cli -u redis://127.0.0.1:6379/0 ping"
    )


def test_an_eviction_policy_that_loses_messages_comes_with_its_cure() -> None:
    (condition,) = found(redis=RedisLook(policy="allkeys-lru"))
    assert "maxmemory-policy is allkeys-lru" in condition.words and condition.command.endswith(
        "config set maxmemory-policy noeviction"
    )


def test_an_eviction_policy_that_the_server_does_not_tell_is_no_matter() -> None:
    assert found(redis=RedisLook(policy=None)) == []


def test_messages_that_have_been_missing_for_long_are_said_so() -> None:
    (condition,) = found(depths=[depth(missing=3)], missing_for_s={"realtime": 5.1})
    assert condition.words.startswith("realtime: 3 messages missing for 5.1 s")


def test_messages_that_are_missing_for_a_moment_are_not() -> None:
    assert found(depths=[depth(missing=3)], missing_for_s={"realtime": 4.9}) == []


def test_how_long_messages_have_been_missing_counts_from_the_first_look_and_anew_after_they_were_found() -> None:
    lacking, whole = [depth("default", missing=1)], [depth("default")]
    assert missing_for_s(lacking, now=100.0) == {"default": 0.0}
    assert missing_for_s(lacking, now=106.0) == {"default": 6.0}
    assert missing_for_s(whole, now=107.0) == {}
    assert missing_for_s(lacking, now=108.0) == {"default": 0.0}

from __future__ import annotations

import pytest

from tests.workers_admin.facts import a_node, depth, found
from workers_admin.facts import missing_for_s
from workers_admin.redis_look import RedisLook
from workers_admin.surroundings import Disk
from workers_admin.trends import Point


def test_nothing_is_said_when_all_is_well() -> None:
    assert found() == []


def test_a_queue_that_waits_without_a_worker_comes_with_the_command_that_starts_one() -> None:
    (condition,) = found(depths=[depth("batch", database_queued=812, consumers=0)])
    assert condition.words == "batch: 812 waiting, no worker."
    assert condition.command == (
        "CELERY_CUSTOM_WORKER_POOL=predictions.worker.pool:ModelPool "
        ".venv/bin/python -m celery -A inference_site worker --pool=custom -Q batch,default -n batch2@%h"
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


def test_the_ways_in_which_redis_fails_are_told_apart() -> None:
    down, frozen = RedisLook("down", "Redis is down."), RedisLook("frozen", "Redis is frozen.")
    keys = [found(redis=look, redis_error=look.error)[0].key for look in (down, frozen)]
    assert keys == ["redis-down", "redis-frozen"]


def test_a_redis_that_is_frozen_on_another_machine_is_asked_there() -> None:
    elsewhere = {"redis": RedisLook("frozen"), "redis_error": "Frozen.", "redis_address": "redis://cache:6379/0"}
    assert found(**elsewhere)[0].command == "redis-cli -u redis://cache:6379/0 ping"


@pytest.mark.parametrize(("used", "limit", "is_told"), [(79, 100, False), (81, 100, True), (81, 0, False)])
def test_redis_is_nearly_full_from_four_fifths_of_what_it_may_hold(used: int, limit: int, is_told: bool) -> None:
    told = found(redis=RedisLook(policy="noeviction", used_bytes=used, limit_bytes=limit))
    assert [condition.key for condition in told] == ["redis-memory"] * is_told


def test_a_disk_is_told_with_what_shows_who_fills_it() -> None:
    (condition,) = found(disks=[Disk("/my data", 9, 100), Disk("/other", 11, 100)], disk_free_share=0.1)
    assert condition.words.startswith("The disk of /my data is nearly full: 9 bytes of 100 bytes (9.0 %) free.")
    assert condition.command == "du -xh --max-depth=2 '/my data' | sort -h | tail"


@pytest.mark.parametrize(
    ("commit_s", "read_s", "words"),
    [
        (0.3, 0.0, "The database is slow: the steward's commits take 300 ms or more."),
        (None, 0.2, "The database is slow: looking up one row takes 200 ms or more."),
        (1.0, 1.0, "The database is slow: the steward's commits take 1.0 s or more and looking up one row takes 1.0 s"),
    ],
)
def test_a_slow_database_is_told_with_what_was_measured(commit_s: float | None, read_s: float, words: str) -> None:
    (condition,) = found(commit_s=commit_s, read_s=read_s, database="predictions")
    assert condition.words.startswith(words) and condition.command.startswith("psql -d predictions -c ")


def test_a_database_that_is_as_quick_as_ever_is_not_told() -> None:
    assert found(commit_s=0.2, read_s=0.05) == []


def ended(failed: int, succeeded: int) -> dict[str, list[Point]]:
    return {"realtime": [Point(0, 0, succeeded, failed)]}


@pytest.mark.parametrize(("failed", "succeeded"), [(5, 95), (19, 0), (0, 0)])
def test_few_failures_are_not_told(failed: int, succeeded: int) -> None:
    assert found(trends=ended(failed, succeeded)) == []


@pytest.mark.parametrize(("failed", "succeeded"), [(6, 94), (20, 0), (2, 18)])
def test_many_failures_are_told_with_the_way_to_them(failed: int, succeeded: int) -> None:
    (condition,) = found(trends=ended(failed, succeeded))
    assert condition.key == "failures-realtime" and condition.href == "/jobs/?status=failed&queue=realtime"


def test_a_wait_over_its_target_is_told_and_a_paused_queue_may_wait() -> None:
    waits = {"database_queued": 1, "oldest_wait_s": 11.0}
    (condition,) = found(depths=[depth(**waits)], wait_targets_s={"realtime": 10.0})
    assert condition.words == "realtime: a job has waited for 11 s, longer than the target of 10 s."
    assert found(depths=[depth(**waits)], wait_targets_s={"realtime": 11.0}) == []
    assert found(depths=[depth(**waits, paused=True)], wait_targets_s={"realtime": 10.0}) == []


def test_a_paused_queue_needs_no_worker() -> None:
    assert found(depths=[depth("batch", database_queued=812, consumers=0, paused=True)]) == []


STEADY = {"realtime": [Point(at, 30 + at // 10) for at in range(0, 300, 10)]}


def test_a_queue_that_grew_each_minute_for_five_is_told_with_the_command_that_starts_a_worker() -> None:
    (condition,) = found(depths=[depth()], trends=STEADY)
    assert condition.words == "realtime has grown for 5 min: 30 waited, now 54 do."
    assert condition.command.endswith("-Q realtime -n realtime2@%h") and not condition.is_bad


@pytest.mark.parametrize(
    "depths",
    [
        [40] * 30,  # it stands
        [5 + at // 6 for at in range(30)],  # it grows, and is short
        [30 + at if at % 6 else 10 for at in range(30)],  # bursts that are worked off
        [30 + at for at in range(23)],  # nobody knows for how long yet
        [30 + at for at in range(18)] + [None] * 6 + [60] * 6,  # Redis did not tell
        [30 + at for at in range(24)] + [20] * 6,  # it has begun to shrink
    ],
)
def test_a_queue_that_did_not_grow_for_five_minutes_is_not(depths: list[int | None]) -> None:
    points = [Point(10 * number, waiting) for number, waiting in enumerate(depths)]
    assert found(depths=[depth()], trends={"realtime": points}) == []

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
import redis
from channels.layers import get_channel_layer

from predictions import leases, outcomes, revocation
from predictions.live import hub, say
from predictions.live.frames import FRAME_S, Change
from predictions.live.hub import Listener, owner_audience
from predictions.models import Job, Kind, State, new_id, utc_now
from predictions.outcomes import Ending
from tests import processes
from tests.predictions.live import in_thread
from tests.surroundings import free_port

pytestmark = pytest.mark.django_db(transaction=True)
SOON_S = 1.0


@pytest.fixture
async def live(clean_redis: None) -> AsyncIterator[hub.Hub]:
    """The test's hub, once it listens."""
    listening = hub.of_this_loop()
    await is_heard()
    yield listening
    await hub.stop()
    await get_channel_layer().flush()


async def is_heard() -> None:
    """Wait until a change said now would be heard."""
    with hub.listening(hub.CONSOLE) as listener:
        for _ in range(200):
            with suppress(redis.ConnectionError):
                await get_channel_layer().group_send(say.CONSOLE_GROUP, {"type": "workers.changed"})
            if await listener.news(0.05) is not None:
                return
    raise AssertionError("The hub does not listen.")


def new_job(owner: Any) -> Job:
    return Job.objects.create(
        owner=owner, kind=Kind.REALTIME, model="digits@1", queue="realtime", priority=9, vector=[0.0], created=utc_now()
    )


def end(job: Job) -> None:
    """As a worker ends it."""
    claim = leases.claim_job(job.pk, "realtime@test")
    assert claim is not None
    outcomes.finish(job.pk, claim.attempt, Ending(State.SUCCEEDED, result={}))


def hint(job_id: UUID, version: int, state: str = "running", done: int = 0, owner_id: int = 1) -> dict[str, Any]:
    return {"type": "jobs.changed", "jobs": [[str(job_id), version, owner_id, state, done]]}


async def all_news(listener: Listener, for_s: float) -> list[tuple[float, int]]:
    """(when, version) of each change that arrives within the time."""
    start, found = time.monotonic(), []
    while (left := start + for_s - time.monotonic()) > 0:
        found += [(time.monotonic() - start, change.version) for change in await listener.news(left) or []]
    return found


async def all_states(listener: Listener, for_s: float) -> list[str]:
    start, found = time.monotonic(), []
    while (left := start + for_s - time.monotonic()) > 0:
        found += [change.state for change in await listener.news(left) or []]
    return found


async def test_a_waiter_hears_that_its_job_has_ended(live: hub.Hub, user: Any) -> None:
    job = await in_thread(new_job, user)
    with hub.expecting(job.pk) as waiter:
        await in_thread(end, job)
        assert await waiter.ended(SOON_S)


async def test_a_waiter_that_comes_after_the_end_is_not_kept_waiting(live: hub.Hub, user: Any) -> None:
    job = await in_thread(new_job, user)
    with hub.expecting(job.pk) as first:
        await in_thread(end, job)
        assert await first.ended(SOON_S)
    with hub.expecting(job.pk) as second:
        assert await second.ended(0.01)


async def test_a_waiter_has_what_the_hint_said_of_the_end(live: hub.Hub) -> None:
    job_id, ending = new_id(), {"status": "succeeded", "result": {"class": 3}}
    with hub.expecting(job_id) as waiter:
        await get_channel_layer().group_send(
            say.GROUP, {"type": "jobs.changed", "jobs": [[str(job_id), 3, 1, "succeeded", 1, ending]]}
        )
        assert await waiter.ended(SOON_S)
    assert waiter.ending == ending


async def test_what_is_remembered_of_an_end_is_small(live: hub.Hub) -> None:
    job_id = new_id()
    live.jobs_changed({"type": "jobs.changed", "jobs": [[str(job_id), 3, 1, "succeeded", 1, {"result": "x" * 4_000}]]})
    with hub.expecting(job_id) as waiter:
        assert await waiter.ended(0.01)
    assert waiter.ending is None


async def test_who_stops_waiting_just_as_the_job_ends_has_stopped(live: hub.Hub) -> None:
    job_id = new_id()
    with hub.expecting(job_id) as waiter:
        waiting = asyncio.create_task(waiter.ended(SOON_S))
        await asyncio.sleep(0.01)
        live.jobs_changed(hint(job_id, 2, "succeeded"))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_a_job_that_goes_on_wakes_nobody(live: hub.Hub, user: Any) -> None:
    job = await in_thread(new_job, user)
    with hub.expecting(job.pk) as waiter:
        await in_thread(say.jobs_changed, [job.pk])
        assert not await waiter.ended(0.3)


async def test_a_lost_hint_costs_a_waiter_two_seconds_and_not_its_whole_time(live: hub.Hub, user: Any) -> None:
    job = await in_thread(new_job, user)
    with hub.expecting(job.pk) as waiter:
        await in_thread(lambda: Job.objects.filter(pk=job.pk).change(state=State.REVOKED))
        start = time.monotonic()
        assert await waiter.ended(30)
    assert time.monotonic() - start < hub.LOOK_EVERY_S + SOON_S


async def test_nobody_who_has_left_is_remembered(live: hub.Hub, user: Any) -> None:
    for _ in range(50):
        with hub.expecting(new_id()), hub.listening(owner_audience(user.pk)):
            pass
    assert live.load() == (0, 0)
    assert not live._waiters
    assert not live._listeners


async def test_what_the_hub_remembers_of_jobs_is_bounded(live: hub.Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predictions.live.frames.REMEMBERED", 10)
    for _ in range(100):
        live.jobs_changed(hint(new_id(), 1))
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.1)
    live.jobs_changed(hint(new_id(), 1))
    assert len(live._frames._known) == 10


async def test_what_the_hub_remembers_of_listened_jobs_is_bounded_too(
    live: hub.Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hub.listening(hub.ALL):
        await test_what_the_hub_remembers_of_jobs_is_bounded(live, monkeypatch)


async def test_what_was_heard_while_nobody_listened_is_told_to_nobody(live: hub.Hub) -> None:
    job_id = new_id()
    live.jobs_changed(hint(job_id, 1))
    with hub.listening(hub.job_audience(job_id)) as listener:
        assert await all_news(listener, 0.2) == []
        live.jobs_changed(hint(job_id, 2))
        live.jobs_changed(hint(job_id, 1))
        assert [version for _, version in await all_news(listener, 0.2)] == [2]


async def test_an_owner_hears_of_own_jobs_only(live: hub.Hub, user: Any, other_user: Any) -> None:
    with hub.listening(owner_audience(user.pk)) as mine, hub.listening(owner_audience(other_user.pk)) as others:
        job = await in_thread(new_job, user)
        await in_thread(say.jobs_changed, [job.pk])
        heard = await mine.news(SOON_S)
        assert heard is not None
        assert [change.id for change in heard] == [str(job.pk)]
        assert await others.news(0.2) is None


async def test_stopping_a_running_job_is_a_change_of_state(live: hub.Hub, user: Any) -> None:
    job = await in_thread(new_job, user)
    await in_thread(leases.claim_job, job.pk, "realtime@test")
    with hub.listening(hub.job_audience(job.pk)) as listener:
        await in_thread(revocation.revoke, job, user)
        states = await all_states(listener, 0.3)
    assert states[-1] == "revoking"


async def test_an_older_version_is_not_passed_on(live: hub.Hub) -> None:
    job_id = new_id()
    with hub.listening(hub.job_audience(job_id)) as listener:
        live.jobs_changed(hint(job_id, 5))
        live.jobs_changed(hint(job_id, 4))
        assert [version for _, version in await all_news(listener, 0.4)] == [5]


async def test_the_first_change_after_quiet_goes_out_at_once(live: hub.Hub) -> None:
    took = []
    for job_id in (new_id() for _ in range(5)):
        with hub.listening(hub.job_audience(job_id)) as listener:
            live.jobs_changed(hint(job_id, 1))
            took += [at for at, _ in await all_news(listener, 0.1)]
    assert min(took) < 0.02  # on a busy machine a single one may take longer


async def test_changes_of_state_in_a_row_go_out_in_frames(live: hub.Hub) -> None:
    jobs = [new_id() for _ in range(100)]
    with hub.listening(hub.ALL) as listener:
        begun, frames = time.monotonic(), 0
        for job_id in jobs:
            live.jobs_changed(hint(job_id, 1))
            await asyncio.sleep(0.002)
            frames += await listener.news(0.0001) is not None
    assert 2 <= frames <= (time.monotonic() - begun) / FRAME_S + 2


async def test_counters_of_a_job_go_out_four_times_a_second(live: hub.Hub) -> None:
    job_id = new_id()

    async def count_up() -> None:
        for version in range(1, 101):
            live.jobs_changed(hint(job_id, version, done=version))
            await asyncio.sleep(0.01)

    with hub.listening(hub.job_audience(job_id)) as listener:
        counting = asyncio.create_task(count_up())
        heard = await all_news(listener, 1.6)
        await counting
    assert 4 <= len(heard) <= 6
    assert heard[-1][1] == 100


async def test_the_end_does_not_wait_for_a_counters_turn(live: hub.Hub) -> None:
    job_id = new_id()
    with hub.listening(hub.job_audience(job_id)) as listener:
        live.jobs_changed(hint(job_id, 1, done=1))
        live.jobs_changed(hint(job_id, 2, done=2))
        await asyncio.sleep(0.06)
        live.jobs_changed(hint(job_id, 3, done=3))
        live.jobs_changed(hint(job_id, 4, "succeeded", 4))
        heard = await all_news(listener, 0.15)
    assert heard[-1][1] == 4


async def test_a_listener_that_falls_behind_is_told_so_and_keeps_nothing(live: hub.Hub) -> None:
    with hub.listening(hub.ALL) as listener:
        live.jobs_changed(
            {
                "type": "jobs.changed",
                "jobs": [[str(new_id()), 1, 1, "queued", 0] for _ in range(hub.FELL_BEHIND_AT + 1)],
            }
        )
        assert await listener.news(SOON_S) == []
        assert listener.fell_behind


async def test_a_message_that_nobody_understands_does_not_deafen_the_hub(live: hub.Hub) -> None:
    for message in ({}, {"type": "stop"}, {"type": "jobs.changed"}, {"type": "jobs.changed", "jobs": [[1]]}):
        await get_channel_layer().group_send(say.GROUP, message)
    await is_heard()


async def test_the_hub_hears_again_after_redis_was_killed(settings: Any, user: Any) -> None:
    port = free_port()
    settings.CHANNEL_LAYERS = {
        "default": settings.CHANNEL_LAYERS["default"] | {"CONFIG": {"hosts": [f"redis://127.0.0.1:{port}/0"]}}
    }
    with processes.redis_server(port) as child:
        hub.of_this_loop()
        await is_heard()
        processes.end(child, 9)
        await asyncio.sleep(0.5)
    with processes.redis_server(port):
        await is_heard()
        await hub.stop()
        await get_channel_layer().flush()


async def test_who_listens_before_the_hub_hears_is_told_to_look_again(clean_redis: None) -> None:
    with hub.listening(hub.ALL) as listener:
        assert await listener.news(SOON_S) is None
        assert listener.has_missed
    await hub.stop()


async def test_the_hub_hears_once_a_redis_that_was_not_there_has_come(settings: Any, user: Any) -> None:
    port = free_port()
    settings.CHANNEL_LAYERS = {
        "default": settings.CHANNEL_LAYERS["default"] | {"CONFIG": {"hosts": [f"redis://127.0.0.1:{port}/0"]}}
    }
    hub.of_this_loop()
    await asyncio.sleep(1.5)
    with processes.redis_server(port):
        await is_heard()
        await hub.stop()
        await get_channel_layer().flush()


async def test_while_redis_is_away_a_waiter_still_gets_its_answer(settings: Any, user: Any) -> None:
    settings.CHANNEL_LAYERS = {
        "default": settings.CHANNEL_LAYERS["default"] | {"CONFIG": {"hosts": [f"redis://127.0.0.1:{free_port()}/0"]}}
    }
    job = await in_thread(new_job, user)
    with hub.expecting(job.pk) as waiter:
        await in_thread(end, job)
        assert await waiter.ended(hub.LOOK_EVERY_S + SOON_S)
    await hub.stop()


async def test_a_hub_that_is_stopped_leaves_no_task_behind(clean_redis: None) -> None:
    before = asyncio.all_tasks()
    hub.of_this_loop()
    await is_heard()
    await hub.stop()
    await get_channel_layer().flush()
    assert asyncio.all_tasks() == before


async def test_who_leaves_just_as_news_arrives_is_gone() -> None:
    listener = Listener(hub.ALL)
    reading = asyncio.create_task(listener.news(SOON_S))
    await asyncio.sleep(0.01)
    listener.hear([Change(str(new_id()), 1, 1, "queued", 0)])
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

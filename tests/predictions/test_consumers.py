from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from channels.layers import get_channel_layer
from channels.routing import URLRouter
from channels.sessions import CookieMiddleware
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session

from predictions import broker, keys, revocation
from predictions.live import hub
from predictions.live.screen import FELL_BEHIND, NOT_FOUND, NOT_SIGNED_IN, RIGHTS_CHANGED
from predictions.models import Job, new_id
from predictions.routing import websocket_urlpatterns
from tests.predictions.jobs import claimed, submit_digit
from tests.predictions.live import SOON_S, headers_of, in_thread, opened

pytestmark = pytest.mark.django_db(transaction=True)
router = URLRouter(websocket_urlpatterns)
JSON = "?format=json"


@pytest.fixture(autouse=True)
async def _hub(clean_redis: None) -> AsyncIterator[None]:
    yield
    await hub.stop()
    await get_channel_layer().flush()


async def test_a_socket_begins_with_a_snapshot(user: Any, digits: Any) -> None:
    job = await in_thread(submit_digit, user, digits)
    async with opened(router, f"/ws/jobs/{job.pk}/{JSON}", await headers_of(user)) as socket:
        assert (await socket.job())["id"] == str(job.pk)


async def test_every_change_of_state_follows(user: Any, digits: Any) -> None:
    job = await in_thread(submit_digit, user, digits)
    async with opened(router, f"/ws/jobs/{job.pk}/{JSON}", await headers_of(user)) as socket:
        await socket.job()
        await in_thread(claimed, job)
        assert (await socket.statuses())[-1] == "running"
        await in_thread(revocation.revoke, job, user)
        assert (await socket.statuses())[-1] == "revoking"


async def test_what_looks_the_same_is_not_sent_again(user: Any, digits: Any) -> None:
    job = await in_thread(submit_digit, user, digits)
    async with opened(router, f"/ws/jobs/{job.pk}/{JSON}", await headers_of(user)) as socket:
        await socket.statuses()
        await in_thread(lambda: Job.objects.filter(pk=job.pk).change(kept=False))
        assert await socket.statuses(2.5) == []


@pytest.mark.parametrize("whose", ["unknown", "another's"])
async def test_another_users_job_looks_like_one_that_does_not_exist(
    user: Any, other_user: Any, digits: Any, whose: str
) -> None:
    job_id = new_id() if whose == "unknown" else (await in_thread(submit_digit, other_user, digits)).pk
    async with opened(router, f"/ws/jobs/{job_id}/{JSON}", await headers_of(user)) as socket:
        assert await socket.code() == NOT_FOUND


async def test_staff_see_every_job(staff: Any, user: Any, digits: Any) -> None:
    job = await in_thread(submit_digit, user, digits)
    async with opened(router, f"/ws/jobs/{job.pk}/{JSON}", await headers_of(staff)) as socket:
        assert (await socket.job())["id"] == str(job.pk)


async def test_a_list_has_own_jobs_only_now_and_later(user: Any, other_user: Any, digits: Any) -> None:
    await in_thread(submit_digit, other_user, digits)
    mine = await in_thread(submit_digit, user, digits)
    async with opened(router, f"/ws/jobs/{JSON}", await headers_of(user)) as socket:
        assert (await socket.job())["id"] == str(mine.pk)
        await in_thread(submit_digit, other_user, digits)
        assert await socket.statuses() == []
        new = await in_thread(submit_digit, user, digits)
        assert (await socket.job())["id"] == str(new.pk)


async def test_the_list_of_staff_has_all(user: Any, staff: Any, digits: Any) -> None:
    async with opened(router, f"/ws/jobs/{JSON}", await headers_of(staff)) as socket:
        await socket.statuses()
        new = await in_thread(submit_digit, user, digits)
        assert (await socket.job())["id"] == str(new.pk)


async def test_the_submit_page_shows_staff_their_own_only(user: Any, staff: Any, digits: Any) -> None:
    async with opened(router, "/ws/jobs/?view=submit&format=json", await headers_of(staff)) as socket:
        await in_thread(submit_digit, user, digits)
        assert await socket.statuses() == []


async def test_an_api_key_opens_a_socket(user: Any, digits: Any) -> None:
    job = await in_thread(submit_digit, user, digits)
    _, plain = await in_thread(keys.create, user, "test")
    async with opened(router, f"/ws/jobs/{job.pk}/{JSON}", [(b"authorization", f"Bearer {plain}".encode())]) as socket:
        assert (await socket.job())["id"] == str(job.pk)


async def test_a_bad_key_is_not_excused_by_a_good_session(user: Any) -> None:
    headers = [*await headers_of(user), (b"authorization", b"Bearer idk_unknown")]
    async with opened(router, f"/ws/jobs/{JSON}", headers) as socket:
        assert await socket.code() == NOT_SIGNED_IN


def sign_out(user: Any) -> None:
    Session.objects.all().delete()


def deactivate(user: Any) -> None:
    get_user_model().objects.filter(pk=user.pk).update(is_active=False)


def change_password(user: Any) -> None:
    user.set_password("another one, quite long")
    user.save()


@pytest.mark.parametrize("leave", [sign_out, deactivate, change_password])
async def test_who_has_left_is_shown_nothing_more(
    user: Any, digits: Any, monkeypatch: pytest.MonkeyPatch, leave: Any
) -> None:
    monkeypatch.setattr("predictions.live.socket.CHECK_EVERY_S", 0.2)
    monkeypatch.setattr("predictions.consumers.JobScreen.refresh_s", 0.3)
    job = await in_thread(submit_digit, user, digits)
    async with opened(router, f"/ws/jobs/{job.pk}/{JSON}", await headers_of(user)) as socket:
        await socket.job()
        await in_thread(leave, user)
        assert await socket.code() == NOT_SIGNED_IN


async def test_a_revoked_key_is_shown_nothing_more(user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predictions.live.socket.CHECK_EVERY_S", 0.2)
    monkeypatch.setattr("predictions.live.screen.Screen.refresh_s", 0.3)
    key, plain = await in_thread(keys.create, user, "test")
    async with opened(router, f"/ws/jobs/{JSON}", [(b"authorization", f"Bearer {plain}".encode())]) as socket:
        await socket.statuses()
        await in_thread(keys.revoke, user, key.pk)
        assert await socket.code() == NOT_SIGNED_IN


async def test_who_may_see_less_is_asked_to_come_again(staff: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predictions.live.socket.CHECK_EVERY_S", 0.2)
    monkeypatch.setattr("predictions.live.screen.Screen.refresh_s", 0.3)
    async with opened(router, f"/ws/jobs/{JSON}", await headers_of(staff)) as socket:
        await socket.statuses()
        await in_thread(lambda: get_user_model().objects.filter(pk=staff.pk).update(is_staff=False, is_superuser=False))
        assert await socket.code() == RIGHTS_CHANGED


async def test_a_role_that_is_taken_away_is_heard_of_at_once(user: Any) -> None:
    await in_thread(lambda: user.groups.add(Group.objects.get(name="viewer")))
    async with opened(router, f"/ws/jobs/{JSON}", await headers_of(user)) as socket:
        await socket.statuses()
        await in_thread(user.groups.clear)
        assert await socket.code() == RIGHTS_CHANGED


async def test_what_changed_for_others_closes_nothing(user: Any, other_user: Any, digits: Any) -> None:
    job = await in_thread(submit_digit, user, digits)
    async with opened(router, f"/ws/jobs/{job.pk}/{JSON}", await headers_of(user)) as socket:
        await socket.job()
        await in_thread(lambda: other_user.groups.add(Group.objects.get(name="viewer")))
        assert await socket.receive_nothing(0.4, 0.01)


async def test_too_many_changes_at_once_send_the_reader_back_to_a_snapshot(user: Any) -> None:
    async with opened(router, f"/ws/jobs/{JSON}", await headers_of(user)) as socket:
        await socket.statuses()
        rows = [[str(new_id()), 1, user.pk, "queued", 0] for _ in range(hub.FELL_BEHIND_AT + 1)]
        hub.of_this_loop().jobs_changed({"type": "jobs.changed", "jobs": rows})
        assert await socket.code() == FELL_BEHIND


async def test_a_reader_that_does_not_read_is_dropped(user: Any, digits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predictions.live.outbox.SEND_WITHIN_S", 0.2)
    monkeypatch.setattr("predictions.live.socket.GOODBYE_WITHIN_S", 0.2)
    await in_thread(submit_digit, user, digits)
    headers = await headers_of(user)
    opens = asyncio.Queue[dict[str, Any]]()
    opens.put_nowait({"type": "websocket.connect"})

    async def send(message: dict[str, Any]) -> None:
        if message["type"] != "websocket.accept":
            await asyncio.Event().wait()

    scope = {"type": "websocket", "path": "/ws/jobs/", "query_string": b"format=json", "headers": headers}
    await asyncio.wait_for(CookieMiddleware(router)(scope, opens.get, send), SOON_S)
    assert hub.of_this_loop().load() == (0, 0)


async def test_what_a_client_sends_is_ignored(user: Any, digits: Any) -> None:
    async with opened(router, f"/ws/jobs/{JSON}", await headers_of(user)) as socket:
        await socket.send_input({"type": "websocket.receive", "text": "hello"})
        await socket.send_input({"type": "websocket.receive", "bytes": b"\0\xff"})
        await in_thread(submit_digit, user, digits)
        assert (await socket.job())["status"] == "queued"


async def test_a_socket_that_is_left_leaves_nothing_behind(user: Any, digits: Any) -> None:
    job = await in_thread(submit_digit, user, digits)
    headers = await headers_of(user)
    hub.of_this_loop()
    before = len(asyncio.all_tasks())
    for _ in range(20):
        async with opened(router, f"/ws/jobs/{job.pk}/{JSON}", headers) as socket:
            await socket.job()
    assert hub.of_this_loop().load() == (0, 0)
    assert len(asyncio.all_tasks()) <= before + 2


async def test_sockets_do_not_subscribe_one_by_one(user: Any, digits: Any) -> None:
    headers = await headers_of(user)
    async with opened(router, f"/ws/jobs/{JSON}", headers), opened(router, f"/ws/jobs/{JSON}", headers):
        await asyncio.sleep(0.3)
        channels = await in_thread(lambda: broker.client().pubsub_channels())
    assert len(channels) == 2  # the two groups of the hub

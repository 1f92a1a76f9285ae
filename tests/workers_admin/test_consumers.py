from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from channels.layers import get_channel_layer
from channels.routing import URLRouter
from django.contrib.auth.models import Permission

from predictions import audit
from predictions.live import hub, say
from predictions.live.screen import NOT_FOUND, NOT_PERMITTED, NOT_SIGNED_IN
from tests.predictions.jobs import submit_digit
from tests.predictions.live import Socket, headers_of, in_thread, opened
from workers_admin.routing import websocket_urlpatterns

pytestmark = pytest.mark.django_db(transaction=True)
router = URLRouter(websocket_urlpatterns)
JSON = "/ws/console/?format=json"
VIEWS = ["overview", "queues", "workers", "results", "audit"]


@pytest.fixture(autouse=True)
async def _hub(clean_redis: None) -> AsyncIterator[None]:
    yield
    await hub.stop()
    await get_channel_layer().flush()


async def queued_in(socket: Socket) -> dict[str, int]:
    """What the next message about queues says is queued."""
    while (message := json.loads(await socket.text()))["type"] != "queues":
        continue
    return {queue["name"]: queue["database_queued"] for queue in message["items"]}


async def test_a_user_does_not_see_the_console(user: Any) -> None:
    async with opened(router, JSON, await headers_of(user)) as socket:
        assert await socket.code() == NOT_PERMITTED


async def test_nobody_does_not_see_the_console(user: Any) -> None:
    async with opened(router, JSON, []) as socket:
        assert await socket.code() == NOT_SIGNED_IN


async def test_who_holds_the_permission_sees_the_console(user: Any) -> None:
    permission = await in_thread(Permission.objects.get, codename="see_console")
    await in_thread(user.user_permissions.add, permission)
    async with opened(router, JSON, await headers_of(user)) as socket:
        assert "realtime" in await queued_in(socket)


async def test_a_new_job_is_counted_at_once(
    staff: Any, user: Any, digits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers_admin.consumers.ConsoleScreen.refresh_s", 60.0)
    async with opened(router, JSON, await headers_of(staff)) as socket:
        assert (await queued_in(socket))["realtime"] == 0
        await in_thread(submit_digit, user, digits)
        assert (await queued_in(socket))["realtime"] == 1


async def test_without_news_it_is_looked_at_again(
    staff: Any, user: Any, digits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(router, JSON, await headers_of(staff)) as socket:
        await queued_in(socket)
        monkeypatch.setattr(say, "_say_jobs", lambda ids: None)
        await in_thread(submit_digit, user, digits)
        assert (await queued_in(socket))["realtime"] == 1


@pytest.mark.parametrize("view", VIEWS)
async def test_each_page_of_the_console_gets_fragments(staff: Any, view: str) -> None:
    await in_thread(audit.write, staff, "revoke", "job 1", "revoked")
    async with opened(router, f"/ws/console/?view={view}", await headers_of(staff)) as socket:
        assert (await socket.text()).lstrip().startswith("<hx-partial ")


async def test_a_page_that_the_console_does_not_have_is_refused(staff: Any) -> None:
    async with opened(router, "/ws/console/?view=nothing", await headers_of(staff)) as socket:
        assert await socket.code() == NOT_FOUND

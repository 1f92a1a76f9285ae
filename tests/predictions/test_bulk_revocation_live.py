"""Revoking many is seen at once on the list of whoever owns them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from channels.layers import get_channel_layer
from channels.routing import URLRouter

from predictions import bulk_revocation
from predictions.live import hub
from predictions.routing import websocket_urlpatterns
from tests.predictions.jobs import claimed, submit_digit
from tests.predictions.live import headers_of, in_thread, opened

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
async def _hub(clean_redis: None) -> AsyncIterator[None]:
    yield
    await hub.stop()
    await get_channel_layer().flush()


async def test_each_job_of_the_act_is_told_as_it_is_then(user: Any, staff: Any, digits: Any) -> None:
    waiting = [await in_thread(submit_digit, user, digits) for _ in range(2)]
    running = (await in_thread(lambda: claimed(submit_digit(user, digits)).job)).pk
    async with opened(URLRouter(websocket_urlpatterns), "/ws/jobs/?format=json", await headers_of(user)) as socket:
        await socket.statuses()
        await in_thread(bulk_revocation.revoke_selected, [*(job.pk for job in waiting), running], staff)
        assert sorted(await socket.statuses()) == ["revoked", "revoked", "revoking"]

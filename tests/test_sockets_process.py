"""Websockets through a real uvicorn, as browsers and API clients meet them."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.test import Client
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from predictions import keys, revocation
from predictions.live import say
from predictions.models import Job
from tests import processes
from tests.conftest import database
from tests.predictions.jobs import submit_digit
from tests.predictions.live import in_thread
from tests.surroundings import DATA_DIR

pytestmark = pytest.mark.django_db(transaction=True)
SOON_S = 5.0
STOPS_WITHIN_S = 5.0


def socket_of(web: str, path: str) -> str:
    return web.replace("http://", "ws://") + path


def session_of(user: Any) -> dict[str, str]:
    client = Client()
    client.force_login(user)
    return {"Cookie": f"sessionid={client.session.session_key}"}


async def next_job(socket: ClientConnection) -> dict[str, Any]:
    message = json.loads(await asyncio.wait_for(socket.recv(), SOON_S))
    assert message["type"] == "job"
    return dict(message["job"])


async def code_of(socket: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            await asyncio.wait_for(socket.recv(), SOON_S)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


def logs_of_web() -> list[str]:
    return [log.read_text() for log in Path(DATA_DIR).glob("web*.log")]


async def test_a_socket_tells_the_job_and_then_its_change(web: str, user: Any, digits: Any) -> None:
    job = await in_thread(submit_digit, user, digits)
    _, key = await in_thread(keys.create, user, "test")
    async with connect(
        socket_of(web, f"/ws/jobs/{job.pk}/?format=json"), additional_headers={"Authorization": f"Bearer {key}"}
    ) as socket:
        first = await next_job(socket)
        await in_thread(revocation.revoke, job, user)
        then = await next_job(socket)
    assert (first["status"], then["status"]) == ("queued", "revoked")


async def test_a_page_gets_fragments_for_htmx(web: str, user: Any, digits: Any) -> None:
    job = await in_thread(submit_digit, user, digits)
    headers = await in_thread(session_of, user)
    async with connect(socket_of(web, f"/ws/jobs/{job.pk}/"), additional_headers=headers, origin=web) as socket:
        text = await asyncio.wait_for(socket.recv(), SOON_S)
    assert str(text).startswith('<hx-partial hx-target="#job" hx-swap="outerMorph">')


@pytest.mark.long
async def test_an_idle_socket_is_open_after_fifteen_seconds(web: str, user: Any) -> None:
    headers = await in_thread(session_of, user)
    async with connect(
        socket_of(web, "/ws/jobs/?format=json"), additional_headers=headers, ping_interval=None
    ) as socket:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 15.5)
        await asyncio.wait_for(await socket.ping(), SOON_S)


async def test_a_page_of_another_origin_gets_no_socket(web: str, user: Any) -> None:
    headers = await in_thread(session_of, user)
    port = web.rsplit(":", 1)[1]
    for origin in (
        "http://127.0.0.1:1",
        f"https://127.0.0.1:{port}",
        "http://127.0.0.1",
        "https://evil.example",
        "null",
    ):
        with pytest.raises(InvalidStatus) as refused:
            await connect(socket_of(web, "/ws/jobs/"), additional_headers=headers, origin=origin)
        assert refused.value.response.status_code == 403, origin


async def test_nobody_gets_4401(web: str, user: Any) -> None:
    for headers in (
        {},
        {"Cookie": "sessionid=unknown"},
        {"Authorization": "Bearer unknown"},
        {"Authorization": "Basic x"},
    ):
        async with connect(socket_of(web, "/ws/jobs/"), additional_headers=headers) as socket:
            assert await code_of(socket) == 4401


async def test_an_unknown_address_is_refused_without_noise(web: str, user: Any) -> None:
    with pytest.raises(InvalidStatus):
        await connect(socket_of(web, "/ws/nothing/"))
    assert all("Traceback" not in log for log in await in_thread(logs_of_web))


@pytest.mark.parametrize("query", ["", "?format=json"])
async def test_a_change_is_there_within_a_tenth_of_a_second(web: str, user: Any, digits: Any, query: str) -> None:
    job = await in_thread(submit_digit, user, digits)
    headers = await in_thread(session_of, user)
    took = []
    async with connect(socket_of(web, f"/ws/jobs/{job.pk}/{query}"), additional_headers=headers, origin=web) as socket:
        await socket.recv()
        for attempt in range(1, 41):
            await asyncio.sleep(0.03)
            await in_thread(change, job, attempt)
            committed = time.monotonic()
            await in_thread(say.jobs_changed, [job.pk])
            await asyncio.wait_for(socket.recv(), SOON_S)
            took.append(time.monotonic() - committed)
    assert sorted(took)[len(took) * 9 // 10] < 0.1


def change(job: Job, attempt: int) -> None:
    """A state that was not there before, as a worker's claim and a rescue would make it."""
    Job.objects.filter(pk=job.pk).change(attempt=attempt, state=["queued", "running"][attempt % 2])


async def test_a_server_that_stops_closes_its_sockets_and_ends_quietly(user: Any, clean_redis: None) -> None:
    headers = await in_thread(session_of, user)
    with processes.web(database(), "web-stopping") as web:
        (server,) = [child for child in psutil.Process().children() if "uvicorn" in child.cmdline()]
        async with connect(socket_of(web, "/ws/jobs/?format=json"), additional_headers=headers) as socket:
            await asyncio.sleep(0.5)
            server.terminate()
            assert await code_of(socket) == 1012
            await in_thread(server.wait, STOPS_WITHIN_S)
    log = processes.log_of("web-stopping")
    assert "Task was destroyed" not in log
    assert "Traceback" not in log

"""The API, the doors before Django and the websockets, each asked by one person of each role."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from channels.layers import get_channel_layer
from channels.routing import URLRouter
from django.test import Client
from django.utils.crypto import get_random_string
from django.utils.module_loading import import_string

from predictions import keys, plain_calls
from predictions.live import hub
from predictions.model_cards import ModelCard
from predictions.routing import websocket_urlpatterns as job_sockets
from tests.predictions.calling import form
from tests.predictions.jobs import csv_of
from tests.predictions.live import Socket, headers_of, in_thread, opened
from tests.roles.asking import PLACE, a_job
from tests.roles.people import COLUMNS, person
from tests.roles.table import Line, lines
from workers_admin.routing import websocket_urlpatterns as console_sockets

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clean_redis")]
FORM = {"Content-Type": "multipart/form-data; boundary=edge"}
HOST = "http://localhost"


class Asker:
    """One person of a role, with an API key."""

    def __init__(self, role: str, other: Any, card: ModelCard) -> None:
        self.caller, self._other, self.card = person(role), other, card
        self.key = {"Authorization": f"Bearer {keys.create(self.caller, 'test')[1]}"} if self.caller else {}

    def address(self, line: Line) -> str:
        """Of a job that has just been made, where the line is about one."""
        owner = self.caller if line.whose == "own" and self.caller else self._other
        job_id = str(a_job(owner, self.card, line).pk)
        is_hot = line.route == plain_calls.JOB.pattern.removeprefix("/")
        return f"/api/v1/jobs/{job_id}" if is_hot else "/" + PLACE.sub(job_id, line.route)

    def call(self, line: Line) -> int:
        vector = list(self.card.examples[3]["vector"])
        body = json.dumps({"inputs": [vector]} if "batch" in line.route else vector) if line.method == "POST" else ""
        answer = Client().generic(line.method, self.address(line), body, "application/json", headers=self.key)
        return int(answer.status_code)

    def cookies(self) -> dict[str, str]:
        """Of a browser, with its CSRF token."""
        browser, token = Client(), get_random_string(32)
        if self.caller:
            browser.force_login(self.caller)
        sent = {name: morsel.value for name, morsel in browser.cookies.items()} | {"csrftoken": token}
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in sent.items()), "X-CSRFToken": token}


@pytest.fixture
async def live() -> AsyncIterator[None]:
    yield
    await hub.stop()
    await get_channel_layer().flush()


def mismatches(found: dict[Line, int], role: str) -> dict[str, str]:
    return {
        str(line): f"{status}, not {line.expected[role]}"
        for line, status in found.items()
        if status != line.expected[role]
    }


@pytest.mark.parametrize("role", COLUMNS)
def test_every_call_answers_each_role_as_the_table_says(role: str, user: Any, digits: ModelCard) -> None:
    asker = Asker(role, user, digits)
    assert not mismatches({line: asker.call(line) for line in lines("calls")}, role)


@pytest.mark.parametrize("role", COLUMNS)
async def test_every_door_answers_each_role_as_the_table_says(
    live: None, role: str, user: Any, digits: ModelCard
) -> None:
    asker = await in_thread(Asker, role, user, digits)
    transport = httpx.ASGITransport(import_string("inference_site.asgi.application"))
    async with httpx.AsyncClient(transport=transport, base_url=HOST, timeout=30) as client:
        asked: dict[str, Callable[..., Any]] = {"hot": _hot, "file": _file}
        found = {line: (await asked[line.method](client, asker, line)).status_code for line in lines("doors")}
    assert not mismatches(found, role)


async def _hot(client: httpx.AsyncClient, asker: Asker, line: Line) -> httpx.Response:
    address = await in_thread(asker.address, line)
    if "predict" not in line.route:
        return await client.get(address, headers=asker.key)
    return await client.post(address, json=list(asker.card.examples[3]["vector"]), headers=asker.key)


async def _file(client: httpx.AsyncClient, asker: Asker, line: Line) -> httpx.Response:
    who = asker.key if line.route.startswith("api/") else await in_thread(asker.cookies)
    return await client.post(f"/{line.route}", content=form(csv_of(asker.card, 3), "digits.csv"), headers=who | FORM)


@pytest.mark.parametrize("role", COLUMNS)
async def test_every_socket_takes_each_role_as_the_table_says(
    live: None, role: str, user: Any, digits: ModelCard
) -> None:
    asker = await in_thread(Asker, role, user, digits)
    router = URLRouter([*job_sockets, *console_sockets])
    headers = await headers_of(asker.caller) if asker.caller else []
    found = {}
    for line in lines("sockets"):
        async with opened(router, await in_thread(asker.address, line), headers) as socket:
            found[line] = await _code(socket)
    assert not mismatches(found, role)


async def _code(socket: Socket) -> int:
    """What it is closed with, or 101 once it shows something."""
    output = await socket.receive_output(3)
    return int(output["code"]) if output["type"] == "websocket.close" else 101

"""The lean door against Django's handler, its reference: the same request is answered alike."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from channels.layers import get_channel_layer
from django.core.asgi import get_asgi_application

from inference_site.body_limit import BodyLimit
from predictions import keys, outcomes, revocation
from predictions.lean import Lean
from predictions.live import hub, say
from predictions.model_cards import ModelCard
from predictions.models import Job, State
from predictions.outcomes import Ending
from tests.predictions.jobs import PREDICTION, claimed, submit_digit
from tests.predictions.live import in_thread
from tests.predictions.test_hub import end, is_heard

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_server", "model_dir")]
HOST = "http://localhost"
PREDICT = "/api/v1/predict"
VECTOR = json.dumps([0.5] * 64).encode()
JSON = {"Content-Type": "application/json"}
UNLIKE = {"id", "task_id", "created", "links", "started", "finished", "expires"}


@dataclass
class Asked:
    """A request; `lean`: the lean door answers it itself. path: {job} and {theirs} stand for ids."""

    method: str = "POST"
    path: str = PREDICT
    body: bytes = VECTOR
    headers: dict[str, str] = field(default_factory=lambda: dict(JSON))
    lean: bool = True


def sent(body: object = None, lean: bool = True, **headers: str) -> Asked:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = VECTOR if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return Asked(body=content, headers=JSON | named, lean=lean)


def got(path: str, lean: bool = True, method: str = "GET", **headers: str) -> Asked:
    return Asked(method, path, b"", headers, lean)


JOB = "/api/v1/jobs/{job}"
REQUESTS = {
    "a list": sent(),
    "an object": sent({"input": [0.5] * 64, "model": "digits", "priority": 3, "store": False}),
    "a version": sent({"input": [0.5] * 64, "model": "digits@1"}),
    "no type": Asked(headers={}),
    "a type with a charset": sent(Content_Type="Application/JSON; charset=utf-8"),
    "UTF-16": sent(VECTOR.decode().encode("utf-16")),
    "UTF-8 with a mark": sent(b"\xef\xbb\xbf" + VECTOR),
    "a wait of nothing": sent(Prefer="wait=0"),
    "a wait in vain": sent(Prefer="respond-async, wait=0.05"),
    "a preference that is none": sent(Prefer="handling=lenient"),
    "a key": sent(Idempotency_Key="once"),
    "no body": sent(b""),
    "no JSON": sent(b"[1, 2"),
    "NaN": sent(b"[NaN]"),
    "a string": sent('"\\ud800"'),
    "bad places": sent([*[0.5] * 62, "abc", 1e39]),
    "too few": sent([0.5] * 63),
    "rows": sent({"inputs": [[0.5] * 64]}),
    "both": sent({"inputs": [], "input": []}),
    "no such model": sent({"input": [0.5] * 64, "model": "nobody\u2028\ud83d\ude00"}),
    "a bad priority": sent({"input": [0.5] * 64, "priority": 10}),
    "another type": sent(Content_Type="text/plain"),
    "a bad key": sent(Idempotency_Key="two words"),
    "nested too deep": sent(b"[" * 2000 + b"]" * 2000),
    "compressed": sent(Content_Encoding="gzip", lean=False),
    "a query": Asked(path=f"{PREDICT}?x=%00", lean=False),
    "a cookie": sent(Cookie="sessionid=short", lean=False),
    "no key at all": sent(Authorization="", lean=False),
    "a wrong key": sent(Authorization="Bearer idk_wrong", lean=False),
    "another scheme": sent(Authorization="Basic YTpi", lean=False),
    "a large body": sent(b" " * 70_000 + VECTOR, lean=False),
    "another host": sent(Host="elsewhere.example", lean=False),
    "GET of a submit": got(PREDICT, lean=False),
    "PUT": Asked("PUT", lean=False),
    "a job": got(JOB),
    "a job, after a wait": got(f"{JOB}?wait=0.05"),
    "a job that ended": got("/api/v1/jobs/{ended}?wait=5"),
    "a failed job": got("/api/v1/jobs/{failed}"),
    "a revoked job": got("/api/v1/jobs/{revoked}?wait=1"),
    "another's job": got("/api/v1/jobs/{theirs}"),
    "no job": got("/api/v1/jobs/01a1fd5a-eb9b-76f9-a430-ea5928db2bae"),
    "no id": got("/api/v1/jobs/nothing", lean=False),
    "a wait too long": got(f"{JOB}?wait=61", lean=False),
    "no wait": got(f"{JOB}?wait=soon", lean=False),
    "another query": got(f"{JOB}?x=1", lean=False),
    "HEAD": got(JOB, lean=False, method="HEAD"),
    "a slash too many": got(f"{JOB}/", lean=False),
}


class Doors:
    """Both, and how often the lean one handed a request on."""

    def __init__(self) -> None:
        self.pages: Any = get_asgi_application()
        self.handed_on = 0
        self.apps = {"django": BodyLimit(self.pages), "lean": BodyLimit(Lean(self._hand_on))}

    async def _hand_on(self, scope: Any, receive: Any, send: Any) -> None:
        self.handed_on += 1
        await self.pages(scope, receive, send)

    async def answer(self, door: str, asked: Asked, base_url: str = HOST) -> httpx.Response:
        transport = httpx.ASGITransport(self.apps[door])
        async with httpx.AsyncClient(transport=transport, base_url=base_url, timeout=30) as client:
            return await client.request(asked.method, asked.path, content=asked.body, headers=asked.headers)


@pytest.fixture
async def live(clean_redis: None) -> AsyncIterator[None]:
    """A hub that listens."""
    hub.of_this_loop()
    await is_heard()
    yield
    await hub.stop()
    await get_channel_layer().flush()


@pytest.fixture
def doors() -> Doors:
    return Doors()


@pytest.fixture
def key(user: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {keys.create(user, 'test')[1]}"}


@pytest.fixture
def ids(user: Any, other_user: Any, digits: ModelCard) -> dict[str, str]:
    named = {name: submit_digit(user, digits) for name in ("job", "ended", "failed", "revoked")}
    end(named["ended"])
    outcomes.finish(
        named["failed"].pk, claimed(named["failed"]).attempt, Ending(State.FAILED, error={"code": "x", "message": "y"})
    )
    revocation.revoke(named["revoked"], user)
    return {name: str(job.pk) for name, job in named.items()} | {"theirs": str(submit_digit(other_user, digits).pk)}


@pytest.mark.parametrize("name", REQUESTS)
async def test_both_doors_answer_alike(
    live: None, doors: Doors, key: dict[str, str], ids: dict[str, str], name: str
) -> None:
    asked = REQUESTS[name]
    answers = {}
    for door in ("django", "lean"):
        headers = key | asked.headers
        if "Idempotency-Key" in headers and " " not in headers["Idempotency-Key"]:
            headers["Idempotency-Key"] += door
        mine = Asked(asked.method, asked.path.format(**ids), asked.body, headers)
        answers[door] = [likeness(await doors.answer(door, mine)) for _ in range(2)]
    assert answers["lean"] == answers["django"]
    assert doors.handed_on == (0 if asked.lean else 2) or name == "compressed"


def likeness(answer: httpx.Response) -> Any:
    """What must be the same in both: all but ids, times and the place in the queue."""
    assert int(answer.headers.get("content-length", 0)) == len(answer.content) or answer.request.method == "HEAD"
    headers = {
        name: value for name, value in answer.headers.multi_items() if name not in {"location", "content-length"}
    }
    headers["content-security-policy"] = sorted(headers.get("content-security-policy", "").split("; "))
    body = answer.json() if answer.content else None
    if isinstance(body, dict) and "id" in body:
        assert answer.headers.get("location", body["links"]["self"]) == body["links"]["self"]
        place = body.get("position") and set(body["position"])
        body = {
            **{name: name in body and body[name] is None for name in UNLIKE},
            **without(body, UNLIKE),
            "position": place,
        }
    return answer.status_code, headers, body


def without(body: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in names}


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_behind_https_both_doors_send_the_plain_away_and_demand_https_of_the_others(
    live: None, doors: Doors, key: dict[str, str], settings: Any, scheme: str
) -> None:
    settings.SECURE_SSL_REDIRECT, settings.SECURE_HSTS_SECONDS = True, 3600
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    doors = Doors()
    asked = Asked(headers=JSON | key | {"X-Forwarded-Proto": scheme})
    django, lean = [likeness(await doors.answer(door, asked)) for door in doors.apps]
    assert lean == django and doors.handed_on == (scheme == "http")
    assert ("strict-transport-security" in lean[1]) == (scheme == "https")


async def test_a_reused_key_is_refused_alike(live: None, doors: Doors, key: dict[str, str]) -> None:
    await doors.answer("lean", Asked(headers=JSON | key | {"Idempotency-Key": "once"}))
    other = Asked(body=b"[" + VECTOR[6:-1].lstrip() + b", 1]", headers=JSON | key | {"Idempotency-Key": "once"})
    django, lean = [likeness(await doors.answer(door, other)) for door in doors.apps]
    assert lean == django and lean[0] == 409 and await Job.objects.acount() == 1


async def test_twins_through_both_doors_are_one_job(live: None, doors: Doors, key: dict[str, str]) -> None:
    asked = Asked(headers=JSON | key | {"Idempotency-Key": "once"})
    answers = await asyncio.gather(*[doors.answer(door, asked) for door in ("lean", "django") * 5])
    assert {answer.status_code for answer in answers} == {202} and await Job.objects.acount() == 1
    assert sorted(answer.headers.get("idempotent-replayed", "") for answer in answers) == [""] + ["true"] * 9


async def test_a_fresh_job_stands_behind_those_before_it(live: None, doors: Doors, key: dict[str, str]) -> None:
    async def ahead(priority: int) -> int:
        body = json.dumps({"input": [0.5] * 64, "priority": priority}).encode()
        answer = await doors.answer("lean", Asked(body=body, headers=JSON | key))
        return int(answer.json()["position"]["ahead"])

    assert [await ahead(priority) for priority in (5, 1, 5, 9)] == [0, 1, 1, 0]


async def test_over_the_rate_limit_is_429_at_both(live: None, doors: Doors, key: dict[str, str], settings: Any) -> None:
    settings.RATE_LIMIT = (1, 3600)
    await doors.answer("lean", Asked(headers=JSON | key))
    answers = [await doors.answer(door, Asked(headers=JSON | key)) for door in doors.apps]
    assert [(answer.status_code, 0 < int(answer.headers["retry-after"]) <= 3600) for answer in answers] == [
        (429, True)
    ] * 2


async def submitted(doors: Doors, key: dict[str, str], wait_s: float) -> tuple[asyncio.Task[httpx.Response], Job]:
    """Somebody waits; the job is in the database."""
    asked = Asked(headers=JSON | key | {"Prefer": f"wait={wait_s}"})
    waiting = asyncio.ensure_future(doors.answer("lean", asked))
    while not await Job.objects.aexists():
        assert not waiting.done(), waiting.result().text
        await asyncio.sleep(0.01)
    return waiting, await Job.objects.aget()


async def test_who_waits_is_answered_with_what_the_news_told(live: None, doors: Doors, key: dict[str, str]) -> None:
    """The row still says that it is queued: nobody looked. Said again until it is heard: any hint may be lost."""
    waiting, job = await submitted(doors, key, wait_s=20)
    ending = {"status": "succeeded", "attempt": 1, "result": PREDICTION}
    while not waiting.done():
        say.news([[str(job.pk), 3, job.owner_id, State.SUCCEEDED, 1, ending]])
        await asyncio.wait([waiting], timeout=0.5)
    answer = await waiting
    assert (answer.status_code, answer.json()["status"], answer.json()["result"]) == (200, "succeeded", PREDICTION)


async def test_what_the_news_told_is_what_the_database_holds(live: None, doors: Doors, key: dict[str, str]) -> None:
    waiting, job = await submitted(doors, key, wait_s=20)
    await in_thread(end, job)
    told, read = (await waiting).json(), (await doors.answer("django", got_with(key, job))).json()
    assert told == read


async def test_who_waits_is_answered_though_the_news_was_lost(live: None, doors: Doors, key: dict[str, str]) -> None:
    waiting, job = await submitted(doors, key, wait_s=20)
    await Job.objects.filter(pk=job.pk).aupdate(state=State.REVOKED, version=9)
    answer = await waiting
    assert (answer.status_code, answer.json()["status"]) == (200, "revoked")


async def test_who_waits_for_a_job_of_before_is_answered_when_it_ends(
    live: None, doors: Doors, key: dict[str, str], user: Any, digits: ModelCard
) -> None:
    job = await in_thread(submit_digit, user, digits)
    waiting = asyncio.ensure_future(doors.answer("lean", got_with(key, job, "?wait=20")))
    await asyncio.sleep(0.1)
    await in_thread(end, job)
    assert (await waiting).json() == (await doors.answer("django", got_with(key, job))).json()


def got_with(key: dict[str, str], job: Job, query: str = "") -> Asked:
    return Asked("GET", f"/api/v1/jobs/{job.pk}{query}", b"", key)


async def test_who_leaves_while_it_waits_is_not_waited_for(live: None, doors: Doors, key: dict[str, str]) -> None:
    has_left, sent_messages = asyncio.Event(), list[Any]()
    messages = [{"type": "http.request", "body": VECTOR}]

    async def receive() -> Any:
        if messages:
            return messages.pop()
        await has_left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent_messages.append(message)

    headers = JSON | key | {"Host": "localhost", "Content-Length": str(len(VECTOR)), "Prefer": "wait=60"}
    scope = {"type": "http", "method": "POST", "path": PREDICT, "query_string": b"", "scheme": "http"}
    scope["headers"] = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    waiting = asyncio.ensure_future(doors.apps["lean"](scope, receive, send))
    while not hub.of_this_loop().load()[0]:
        assert not waiting.done()
        await asyncio.sleep(0.01)
    began = time.monotonic()
    has_left.set()
    await waiting
    assert time.monotonic() - began < 10 and not sent_messages and hub.of_this_loop().load()[0] == 0


async def test_a_revoked_key_is_refused_at_once(live: None, doors: Doors, key: dict[str, str], user: Any) -> None:
    assert (await doors.answer("lean", Asked(headers=JSON | key))).status_code == 202
    await in_thread(keys.revoke, user, (await keys.ApiKey.objects.aget()).pk)
    assert (await doors.answer("lean", Asked(headers=JSON | key))).status_code == 401


async def test_a_closed_account_is_refused_at_once(live: None, doors: Doors, key: dict[str, str], user: Any) -> None:
    assert (await doors.answer("lean", Asked(headers=JSON | key))).status_code == 202
    user.is_active = False
    await in_thread(user.save)
    assert (await doors.answer("lean", Asked(headers=JSON | key))).status_code == 401

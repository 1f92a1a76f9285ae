"""Asks a page as a line of the table says, with things of the caller's own or of somebody else, and takes back what it changed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client

from predictions import keys
from predictions.audit import Audit
from predictions.model_cards import ModelCard
from predictions.models import Job, Kind, State, Upload, new_id, utc_now
from tests.roles.people import person
from tests.roles.table import Line, with_refused_methods
from tests.workers_admin.facts import process

PLACE = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>[^)]*\)")
ENDED = ("retry", "retries", "rest", "result", "parquet", "rows")
NOTHING = "00000000-0000-0000-0000-000000000000"


def a_job(owner: Any, card: ModelCard, line: Line) -> Job:
    """One that is in a state in which the act could be done."""
    is_batch = any(word in line.route for word in ("rest", "result.", "parquet", "rejected"))
    has_ended = any(word in line.route.split("/") for word in ENDED) or is_batch
    facts: dict[str, Any] = {"kind": Kind.REALTIME, "queue": "realtime", "vector": list(card.examples[3]["vector"])}
    if is_batch:
        upload = Upload.objects.create(owner=owner, model=card.ref, state=Upload.State.DONE)
        facts = {"kind": Kind.BATCH, "queue": "batch", "upload": upload, "total": 3}
    state = State.QUEUED if not has_ended else State.REVOKED if is_batch else State.FAILED
    return Job.objects.create(owner=owner, model=card.ref, priority=5, created=utc_now(), state=state, **facts)


def wrong_answers(client: Client, table: str, role: str, other: Any, card: ModelCard) -> dict[str, str]:
    """Of each line of a table that answers this role otherwise than it says: how."""
    caller = person(role)
    wrong = {}
    for line in with_refused_methods(table):
        if caller:
            client.force_login(caller)
        status = ask(client, line, caller, other, card)
        if status != line.expected[role]:
            wrong[str(line)] = f"{status}, not {line.expected[role]}"
    return wrong


def ask(client: Client, line: Line, caller: Any, other: Any, card: ModelCard) -> int:
    """The status of the answer; whatever it did is undone."""
    owner = caller if line.whose == "own" and caller else other
    with transaction.atomic():
        try:
            job = a_job(owner, card, line)
            route = line.route.replace("^", "").replace("$", "")
            address = "/" + PLACE.sub(lambda place: _fill(place[1] or place[2], line, owner, job), route)
            act: Callable[..., Any] = client.get if line.method == "GET" else client.post
            given = {"job": str(job.pk), "name": "a key"} if line.method == "POST" else {}
            return int(act(address, given).status_code)
        finally:
            transaction.set_rollback(True)


def _fill(place: str, line: Line, owner: Any, job: Job) -> str:
    if place == "object_id":
        return str(_row_of_the_admin(line.route, owner, job))
    made: dict[str, Callable[[], Any]] = {
        "job_id": lambda: job.pk,
        "task_id": lambda: job.pk,
        "draft_id": lambda: NOTHING,
        "key_id": lambda: keys.create(owner, "laptop")[0].pk,
        "token": lambda: "spent",
        "queue": lambda: "realtime",
        "id": lambda: get_user_model().objects.create_user("somebody").pk,
        "app_label": lambda: "predictions",
        "url": lambda: "nothing",
        "content_type_id": lambda: 1,
    }
    return str(made[place]())


def _row_of_the_admin(route: str, owner: Any, job: Job) -> Any:
    label, name = route.split("/")[1:3]
    made: dict[str, Callable[[], Any]] = {
        "user": lambda: get_user_model().objects.create_user("somebody"),
        "audit": lambda: Audit.objects.create(who_name="ana", action="revoke", subject="job 1", outcome="revoked"),
        "apikey": lambda: keys.create(owner, "laptop")[0],
        "job": lambda: job,
        "worker": lambda: process("realtime@here"),
        "taskresult": lambda: apps.get_model(label, name).objects.create(task_id=str(new_id())),
        "group": lambda: apps.get_model(label, name).objects.create(name="night shift"),
    }
    return made[name]().pk if name in made else 1

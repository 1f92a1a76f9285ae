from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import Resolver404, resolve

from predictions import outcomes
from predictions.model_cards import ModelCard
from tests.predictions.jobs import SUCCESS, claimed, submit_digit
from tests.roles.people import COLUMNS, person
from tests.roles.table import lines
from tests.workers_admin.facts import process

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]
CONSOLE = ("", "queues/", "workers/", "results/", "audit/")
PAGES = ("/", "/jobs/", "/models/", "/keys/", "/api/", *(f"/console/{page}" for page in CONSOLE))
SENDS = re.compile(r'(?:formaction|action|hx-post|href)="([^"#?]*)')
REFUSED = 403


@pytest.mark.parametrize("role", COLUMNS[1:])
def test_no_page_shows_a_button_or_a_link_that_is_refused(
    client: Client, role: str, user: Any, digits: ModelCard
) -> None:
    caller = person(role)
    client.force_login(caller)
    jobs = [submit_digit(caller, digits), submit_digit(user, digits), submit_digit(user, digits)]
    claim = claimed(jobs[-1])
    outcomes.finish(claim.job.pk, claim.attempt, SUCCESS)
    process("realtime@here")
    process("lost@here", age_s=60.0, pid=2)
    pages = [*PAGES, *(job.get_absolute_url() for job in jobs)]
    shown = {address for page in pages for address in _sent(client, page)}
    told = lines("pages")
    refused = {line.route for line in told} - {line.route for line in told if line.expected[role] != REFUSED}
    assert shown and not {address for address in shown if _route(address) in refused}


def _sent(client: Client, page: str) -> Iterator[str]:
    answer = client.get(page)
    return iter(SENDS.findall(answer.content.decode()) if answer.status_code == 200 else ())


def _route(address: str) -> str:
    try:
        return resolve(address).route
    except Resolver404:
        return ""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from predictions import outcomes
from predictions.audit import Audit
from predictions.model_cards import ModelCard
from predictions.models import Job, State
from predictions.workers import Worker
from tests.predictions.jobs import SUCCESS, claimed, now, submit_digit, submit_rows
from tests.workers_admin.facts import process

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]
PAGES = ("console", "console_queues", "console_workers", "console_results", "console_audit")
ACTS = (
    "console_revoke",
    "console_retry",
    "console_stop_worker",
    "console_dismiss_worker",
    "console_keep_result",
    "console_let_result_expire",
    "console_remove_result",
)


@pytest.fixture
def console(client: Client, staff: Any) -> Client:
    client.force_login(staff)
    return client


def said(client: Client, name: str, **data: Any) -> str:
    """What the page says after an act."""
    answer = client.post(reverse(name), data, follow=True)
    return " ".join(str(message) for message in answer.context["messages"])


def allow(user: Any, *codenames: str) -> None:
    user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))


@pytest.mark.parametrize("page", PAGES)
def test_staff_see_every_page(console: Client, page: str) -> None:
    assert console.get(reverse(page)).status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_others_are_told_that_it_is_not_permitted(client: Client, user: Any, page: str) -> None:
    client.force_login(user)
    assert client.get(reverse(page)).status_code == 403


@pytest.mark.parametrize("page", PAGES)
def test_who_is_not_signed_in_is_asked_to(client: Client, page: str) -> None:
    assert client.get(reverse(page)).headers["Location"].startswith("/sign-in/?next=/console/")


def test_a_holder_of_the_permission_sees_the_console_without_its_buttons(
    client: Client, user: Any, digits: ModelCard
) -> None:
    allow(user, "see_console")
    submit_digit(user, digits)
    client.force_login(user)
    page = client.get(reverse("console_queues")).content.decode()
    assert "Next in line" in page and "Revoke" not in page


@pytest.mark.parametrize("act", ACTS)
def test_who_may_only_look_may_not_act(client: Client, user: Any, act: str) -> None:
    allow(user, "see_console")
    client.force_login(user)
    assert client.post(reverse(act)).status_code == 403


@pytest.mark.parametrize("act", ACTS)
def test_an_act_is_a_post_with_a_csrf_token(staff: Any, act: str) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(staff)
    assert strict.get(reverse(act)).status_code == 405 and strict.post(reverse(act)).status_code == 403


def test_the_matching_permission_is_enough_to_act(
    client: Client, user: Any, other_user: Any, digits: ModelCard
) -> None:
    allow(user, "see_console", "revoke_any_job")
    client.force_login(user)
    assert said(client, "console_revoke", job=submit_digit(other_user, digits).pk) == "Revoke: 1 never started."


def test_revoking_several_says_what_became_of_each(console: Client, user: Any, digits: ModelCard) -> None:
    queued, running, ended = (
        submit_digit(user, digits),
        claimed(submit_digit(user, digits)),
        claimed(submit_digit(user, digits)),
    )
    outcomes.finish(ended.job.pk, ended.attempt, SUCCESS)
    jobs = [queued.pk, running.job.pk, ended.job.pk, submit_rows(user, digits, rows=3).pk]
    assert said(console, "console_revoke", job=jobs) == "Revoke: 2 never started, 1 stopping, 1 had already ended."
    entry = Audit.objects.get(action="revoke")
    assert (entry.subject, entry.outcome) == ("4 selected jobs", "2 never started, 1 stopping, 1 had already ended")


def test_nothing_chosen_is_said_so(console: Client) -> None:
    assert said(console, "console_revoke", job="no id") == "No job was selected."


def test_an_act_leads_back_to_the_page_it_came_from(console: Client) -> None:
    assert console.post(reverse("console_revoke"), {"view": "queues"}).headers["Location"] == "/console/queues/"


def test_a_page_that_is_not_ours_leads_back_to_the_console(console: Client) -> None:
    assert console.post(reverse("console_revoke"), {"view": "//elsewhere"}).headers["Location"] == "/console/"


def test_a_result_is_kept_let_go_and_removed(console: Client, user: Any, digits: ModelCard) -> None:
    claim = claimed(submit_digit(user, digits))
    outcomes.finish(claim.job.pk, claim.attempt, SUCCESS)
    assert said(console, "console_keep_result", job=claim.job.pk) == "1 result kept."
    assert said(console, "console_let_result_expire", job=claim.job.pk) == "1 result will expire as planned."
    assert said(console, "console_remove_result", job=claim.job.pk).startswith("1 result removed. ")
    assert now(claim.job).state == State.EXPIRED
    assert said(console, "console_remove_result", job=claim.job.pk) == "The job is expired and has no stored result."
    assert [row.action for row in Audit.objects.order_by("pk")] == ["keep result", "let result expire", "remove result"]


def test_an_act_on_what_was_found_leads_back_to_the_search(console: Client, user: Any, digits: ModelCard) -> None:
    claim = claimed(submit_digit(user, digits))
    outcomes.finish(claim.job.pk, claim.attempt, SUCCESS)
    page = console.get("/console/results/?user=ana&model=digits").content.decode()
    query = html.unescape(re.findall(r'name="query" value="([^"]*)"', page)[0])
    sent = {"view": "results", "query": query, "job": str(claim.job.pk)}
    led_to = console.post(reverse("console_keep_result"), sent).headers["Location"]
    assert parse_qs(urlsplit(led_to).query) == {"user": ["ana"], "model": ["digits"]}
    assert urlsplit(led_to).path == "/console/results/"


def test_a_job_is_retried_for_its_owner_and_audited(console: Client, user: Any, digits: ModelCard) -> None:
    claim = claimed(submit_digit(user, digits))
    outcomes.finish(claim.job.pk, claim.attempt, SUCCESS)
    assert said(console, "console_retry", job=claim.job.pk).startswith("Queued again as")
    again = Job.objects.get(retry_of=claim.job)
    assert again.owner == user and Audit.objects.get().outcome == f"queued as {again.pk}"


def test_a_worker_is_asked_to_stop(console: Client) -> None:
    process()
    assert said(console, "console_stop_worker", worker="realtime@here", view="workers") == "realtime@here stops now."
    assert Worker.objects.get().stop_asked


def test_a_card_counts_the_late_results_that_were_refused(console: Client) -> None:
    process(fenced=2)
    page = console.get(reverse("console_workers")).content.decode()
    assert "<dt>Refused</dt><dd>2 late results</dd>" in page
    process(fenced=0)
    assert "Refused" not in console.get(reverse("console_workers")).content.decode()


def test_the_strip_is_there_only_when_something_is_wrong(console: Client, user: Any, digits: ModelCard) -> None:
    submit_digit(user, digits)
    page = console.get(reverse("console")).content.decode()
    assert "realtime: 1 waiting, no worker. Start one:" in page
    Job.objects.all().delete()
    assert "no worker. Start one:" not in console.get(reverse("console")).content.decode()


def test_the_confirmation_of_a_stop_says_who_else_serves_the_queue(console: Client) -> None:
    process()
    assert (
        "No other worker serves realtime: jobs there will wait."
        in console.get(reverse("console_workers")).content.decode()
    )
    process("second@here", pid=2)
    assert "No other worker serves" not in console.get(reverse("console_workers")).content.decode()

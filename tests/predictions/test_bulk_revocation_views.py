"""Revoking all that match the list's filters: what is said before, the number that is typed, and whose jobs are meant."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from predictions import outcomes
from predictions.audit import Audit
from predictions.model_cards import ModelCard
from predictions.models import Job, State
from tests.predictions.jobs import SUCCESS, claimed, now, submit_digit, submit_rows
from tests.predictions.test_job_views import ended, signed_in

pytestmark = pytest.mark.django_db
FIELD = re.compile(r'<input type="hidden" name="(newest|seen|shown|next)" value="([^"]*)"')


@pytest.fixture
def ana(user: Any) -> Client:
    return signed_in(user)


def address(query: str) -> str:
    return f"/jobs/revocations/matching/?{query}"


def page(client: Client, query: str = "") -> str:
    text = client.get(address(query)).content.decode()
    return " ".join(re.sub(r"</?strong>", "", text).split())


def seen(client: Client, query: str = "") -> dict[str, str]:
    """The confirmation as it was shown, to be sent later."""
    return dict(FIELD.findall(client.get(address(query)).content.decode()))


def confirm(client: Client, shown: dict[str, str], query: str = "", number: str | None = None) -> str:
    """What is said after, or the page that asks again."""
    typed = shown["shown"] if number is None else number
    answer = client.post(address(query), {**shown, "number": typed}, follow=True)
    return " ".join(str(message) for message in answer.context["messages"]) or answer.content.decode()


def test_before_it_is_said_what_will_happen_to_each_kind(ana: Client, user: Any, digits: ModelCard) -> None:
    for _ in range(2):
        submit_digit(user, digits)
    claimed(submit_digit(user, digits))
    Job.objects.filter(pk=submit_rows(user, digits, rows=3).pk).update(state=State.RUNNING)
    ended(submit_digit(user, digits))
    shown = page(ana)
    assert "2 wait and never start" in shown and "1 runs and keeps no result" in shown
    assert "1 runs, stops after the block in hand and keeps its finished rows" in shown
    assert "1 has already ended and stays as it is" in shown and "Type 4 to confirm" in shown


def test_all_that_match_are_revoked_once_their_number_is_typed(ana: Client, user: Any, digits: ModelCard) -> None:
    vector, batch = submit_digit(user, digits), submit_rows(user, digits, rows=3)
    assert confirm(ana, seen(ana, "queue=realtime"), "queue=realtime") == "Revoke: 1 never started."
    assert (now(vector).state, now(batch).state) == (State.REVOKED, State.QUEUED)
    assert Audit.objects.get().subject == "all that match queue realtime"


@pytest.mark.parametrize("typed", ["", "2", "all"])
def test_another_number_revokes_nothing(typed: str, ana: Client, user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    answer = ana.post(address(""), {**seen(ana), "number": typed})
    assert answer.status_code == 422 and "type 1 to revoke" in answer.content.decode()
    assert now(job).state == State.QUEUED and not Audit.objects.exists()


def test_what_came_after_the_confirmation_is_left_alone(ana: Client, user: Any, digits: ModelCard) -> None:
    """Also where another has ended since and left its place."""
    over, _ = submit_digit(user, digits), submit_digit(user, digits)
    shown = seen(ana)
    ended(over)
    later = submit_digit(user, digits)
    assert confirm(ana, shown) == "Revoke: 1 never started, 1 had already ended."
    assert now(later).state == State.QUEUED


def test_what_has_started_or_ended_since_is_told_apart(ana: Client, user: Any, digits: ModelCard) -> None:
    first, second, _ = (submit_digit(user, digits) for _ in range(3))
    shown = seen(ana, "status=queued")
    claim = claimed(first)
    outcomes.finish(claim.job.pk, claim.attempt, SUCCESS)
    claimed(second)
    said = confirm(ana, shown, "status=queued")
    assert said == "Revoke: 1 never started, 1 stopping, 1 had already ended."


def test_what_ran_before_is_not_taken_along_with_those_that_wait(ana: Client, user: Any, digits: ModelCard) -> None:
    running = claimed(submit_digit(user, digits)).job
    submit_digit(user, digits)
    confirm(ana, seen(ana, "status=queued"), "status=queued")
    assert now(running).status == "running"


def test_those_that_run_are_stopped_and_what_waits_is_left(ana: Client, user: Any, digits: ModelCard) -> None:
    running, waiting = claimed(submit_digit(user, digits)).job, submit_digit(user, digits)
    assert confirm(ana, seen(ana, "status=running"), "status=running") == "Revoke: 1 stopping."
    assert (now(running).status, now(waiting).status) == ("revoking", "queued")


def test_others_jobs_are_never_touched(ana: Client, other_user: Any, digits: ModelCard) -> None:
    job = submit_digit(other_user, digits)
    assert "there is nothing to revoke" in page(ana)
    shown = {"newest": str(job.pk), "seen": "2026-01-01T00:00:00+00:00", "shown": "1"}
    assert confirm(ana, shown) == "Revoke: 1 had already ended." and now(job).state == State.QUEUED


def test_who_may_see_all_and_revoke_none_revokes_only_their_own(user: Any, other_user: Any, digits: ModelCard) -> None:
    user.user_permissions.add(Permission.objects.get(codename="see_any_job"))
    mine, other = submit_digit(user, digits), submit_digit(other_user, digits)
    ana = signed_in(user)
    confirm(ana, seen(ana))
    ana.post("/jobs/revocations/", {"job": [str(other.pk)]})
    assert (now(mine).state, now(other).state) == (State.REVOKED, State.QUEUED)


def test_who_may_revoke_any_job_revokes_all_that_match(user: Any, other_user: Any, digits: ModelCard) -> None:
    user.user_permissions.add(*Permission.objects.filter(codename__in=["see_any_job", "revoke_any_job"]))
    for owner in (user, other_user):
        submit_digit(owner, digits)
    ana = signed_in(user)
    assert confirm(ana, seen(ana)) == "Revoke: 2 never started."


def test_a_filter_that_cannot_be_read_means_no_job(ana: Client, user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    answer = ana.post(address("after=yesterday"), {**seen(ana), "number": "1"})
    assert answer.status_code == 422 and now(job).state == State.QUEUED


def test_it_leads_back_to_where_it_was_asked(ana: Client, user: Any, digits: ModelCard) -> None:
    submit_digit(user, digits)
    shown = seen(ana, "next=/jobs/%3Fqueue=realtime")
    assert ana.post(address(""), {**shown, "number": "1"}).headers["Location"] == "/jobs/?queue=realtime"


def test_the_list_offers_it_under_its_own_filters(ana: Client, user: Any, digits: ModelCard) -> None:
    submit_digit(user, digits)
    assert f'href="{address("queue=realtime")}&amp;next=' in ana.get("/jobs/?queue=realtime").content.decode()
    assert address("")[:-1] not in ana.get("/jobs/?status=failed").content.decode()

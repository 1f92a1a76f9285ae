from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.test import Client

from predictions import rights
from predictions.audit import REFUSED, Audit
from predictions.errors import LacksPermission
from predictions.model_cards import ModelCard
from predictions.models import Job
from tests.predictions.calling import Caller, detail
from tests.predictions.jobs import submit_digit
from tests.processes import eventually
from tests.roles.people import person

pytestmark = pytest.mark.django_db(transaction=True)
VECTOR = [0.5] * 64


def anew(user: Any) -> Any:
    return get_user_model().objects.get(pk=user.pk)


def test_who_has_no_role_submits_and_staff_without_one_may_all() -> None:
    assert rights.of(person("user")) == {rights.SUBMIT} and rights.of(person("staff")) == rights.ALL


def test_a_setting_lets_only_those_submit_who_have_a_role(settings: Any) -> None:
    settings.SUBMITTERS = rights.PERMITTED
    assert not rights.of(person("user")) and rights.of(person("submitter")) == {rights.SUBMIT}


def test_a_role_counts_as_it_stands_also_for_staff() -> None:
    staff = person("staff")
    staff.groups.add(Group.objects.get(name="viewer"))
    assert rights.of(anew(staff)) == rights.ROLES["viewer"]


def test_a_permission_given_alone_adds_to_what_somebody_may_anyway(user: Any) -> None:
    user.user_permissions.add(Permission.objects.get(codename="see_console"))
    assert rights.of(anew(user)) == {rights.SUBMIT, rights.SEE_CONSOLE}


def test_a_group_that_grants_none_of_ours_is_no_role(user: Any) -> None:
    user.groups.add(Group.objects.create(name="choir"))
    assert rights.of(anew(user)) == {rights.SUBMIT}


def test_a_closed_account_may_nothing() -> None:
    superuser = person("superuser")
    superuser.is_active = False
    assert not rights.of(superuser)


def test_the_refusal_names_the_permission_and_the_roles_that_have_it(user: Any) -> None:
    with pytest.raises(LacksPermission) as refused:
        rights.demand(user, rights.PURGE_QUEUES)
    assert refused.value.detail == (
        "Your account may not purge queues. "
        "It needs the permission predictions.purge_queues, which the role administrator has."
    )


def test_a_changed_group_stays_as_it_was_changed_and_a_missing_one_is_made() -> None:
    Group.objects.get(name="viewer").permissions.clear()
    Group.objects.get(name="operator").delete()
    call_command("migrate", verbosity=0)
    held = Group.objects.get(name="operator").permissions.values_list("codename", flat=True)
    assert {f"predictions.{name}" for name in held} == rights.ROLES["operator"]
    assert not Group.objects.get(name="viewer").permissions.exists()


@pytest.mark.usefixtures("clean_redis")
def test_a_role_that_is_given_or_taken_counts_for_a_key_at_once(user: Any, digits: ModelCard) -> None:
    caller = Caller(user)
    assert caller.post("/predict", VECTOR).status_code == 202
    user.groups.add(Group.objects.get(name="viewer"))
    refused = caller.post("/predict", VECTOR)
    assert refused.status_code == 403 and "may not submit jobs" in detail(refused)
    Group.objects.get(name="viewer").delete()
    assert caller.post("/predict", VECTOR).status_code == 202


@pytest.mark.usefixtures("clean_redis")
def test_the_retry_of_somebody_elses_job_is_audited_over_the_api_too(user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    operator = person("operator")
    assert Caller(operator).post(f"/jobs/{job.pk}/revoke").status_code == 200
    assert Caller(operator).post(f"/jobs/{job.pk}/retry").status_code == 202
    entry = Audit.objects.get(action="retry")
    again = Job.objects.get(retry_of=job)
    assert (entry.who, entry.before, again.owner) == (operator, {"status": "revoked"}, user)
    assert entry.after == {"job": str(again.pk), "owner": "ana", "status": "queued"}


@pytest.mark.usefixtures("clean_redis")
def test_a_refused_act_is_noted_but_no_refused_submission(user: Any, digits: ModelCard) -> None:
    job, viewer = submit_digit(user, digits), person("viewer")
    caller, browser = Caller(viewer), Client()
    browser.force_login(viewer)
    assert caller.post(f"/jobs/{job.pk}/revoke").status_code == caller.post("/predict", VECTOR).status_code == 403
    page = browser.post(f"/jobs/{job.pk}/revoke/")
    assert page.status_code == 403 and "may not submit jobs" in page.content.decode()
    browser.post("/console/results/removals/", {"job": str(job.pk)})
    expected = {f"/api/v1/jobs/{job.pk}/revoke", "/console/results/removals/"}
    assert eventually(
        lambda: set(Audit.objects.filter(action=REFUSED).values_list("subject", flat=True)) == expected, 3
    )


def test_a_script_is_told_the_sentence_and_not_a_page() -> None:
    browser = Client()
    browser.force_login(person("viewer"))
    told = browser.post("/submit/vector/", headers={"HX-Request": "true"})
    assert (
        told.status_code == 403
        and "may not submit jobs" in told.content.decode()
        and "<html" not in told.content.decode()
    )

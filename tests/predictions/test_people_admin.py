from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import DatabaseError
from django.test import Client

from predictions import audit, sign_in
from predictions.audit import Audit
from tests.roles.people import person

pytestmark = pytest.mark.django_db
PASSWORD = "violet-otter-42-lamp"
SETS = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}


@pytest.fixture
def admin_pages(client: Client, staff: Any) -> Client:
    client.force_login(staff)
    return client


def fields(user: Any, **differs: Any) -> dict[str, Any]:
    """As the form of the page sends them."""
    joined = {"date_joined_0": "2026-11-21", "date_joined_1": "10:00:00"}
    return {"username": user.username, "is_active": "on", **joined, **differs}


def last() -> Audit:
    return Audit.objects.latest("id")


def test_a_new_person_is_audited(admin_pages: Client) -> None:
    admin_pages.post("/admin/auth/user/add/", {"username": "eva", **SETS})
    assert (last().action, last().subject, last().before) == ("add user", "user eva", None)
    assert last().after["staff"] is False and last().address == "127.0.0.1" and last().who_name == "olga"


def test_a_change_of_roles_is_audited_with_what_was_before(admin_pages: Client, user: Any) -> None:
    operator = Group.objects.get(name="operator")
    admin_pages.post(f"/admin/auth/user/{user.pk}/change/", fields(user, groups=[operator.pk], is_staff="on"))
    assert last().outcome == "changed staff, groups"
    assert (last().before, last().after) == ({"staff": False, "groups": []}, {"staff": True, "groups": ["operator"]})


def test_a_form_that_changes_nothing_is_no_entry(admin_pages: Client, user: Any) -> None:
    admin_pages.post(f"/admin/auth/user/{user.pk}/change/", fields(user))
    assert not Audit.objects.exists()


def test_a_password_that_is_set_is_audited_and_shown_nowhere(admin_pages: Client, user: Any) -> None:
    admin_pages.post(f"/admin/auth/user/{user.pk}/password/", SETS)
    user.refresh_from_db()
    assert user.check_password(PASSWORD) and (last().action, last().subject) == ("set password", "user ana")
    assert PASSWORD not in str(vars(last()))


def test_who_is_deleted_is_audited_one_by_one_and_many(admin_pages: Client, user: Any, other_user: Any) -> None:
    admin_pages.post(f"/admin/auth/user/{user.pk}/delete/", {"post": "yes"})
    chosen = {"action": "delete_selected", "_selected_action": [other_user.pk], "post": "yes"}
    admin_pages.post("/admin/auth/user/", chosen)
    assert [entry.subject for entry in Audit.objects.filter(action="delete user")] == ["user ben", "user ana"]
    assert not get_user_model().objects.filter(pk__in=[user.pk, other_user.pk]).exists()


@pytest.mark.parametrize("act", ["change", "password", "delete"])
def test_what_cannot_be_audited_does_not_happen(
    admin_pages: Client, user: Any, act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise DatabaseError("disk full")

    monkeypatch.setattr(audit, "write", full)
    admin_pages.raise_request_exception = False
    given = {"change": fields(user, is_staff="on"), "password": SETS, "delete": {"post": "yes"}}
    assert admin_pages.post(f"/admin/auth/user/{user.pk}/{act}/", given[act]).status_code >= 500
    there = get_user_model().objects.get(pk=user.pk)
    assert not there.is_staff and not there.has_usable_password()


def test_a_group_that_grants_something_else_is_audited(admin_pages: Client) -> None:
    viewer = Group.objects.get(name="viewer")
    admin_pages.post(f"/admin/auth/group/{viewer.pk}/change/", {"name": "viewer"})
    assert last().before == {"permissions": ["see_any_job", "see_console"]} and last().after == {"permissions": []}


def test_only_a_superuser_touches_superusers_and_makes_them(client: Client, staff: Any, user: Any) -> None:
    client.force_login(person("administrator"))
    pages = [client.post(f"/admin/auth/user/{staff.pk}/{act}/", SETS) for act in ("password", "change", "delete")]
    assert [page.status_code for page in pages] == [404, 302, 302] and not staff.has_usable_password()
    client.post(f"/admin/auth/user/{user.pk}/change/", fields(user, is_superuser="on", is_staff="on"))
    user.refresh_from_db()
    assert user.is_staff and not user.is_superuser and get_user_model().objects.filter(pk=staff.pk).exists()


def test_djangos_own_page_for_ones_password_leads_to_ours(admin_pages: Client) -> None:
    assert admin_pages.get("/admin/password_change/").headers["Location"] == "/account/password/"


def test_ones_own_password_is_audited(client: Client, user: Any) -> None:
    client.force_login(user)
    client.post("/account/password/", {"new_password1": PASSWORD, "new_password2": PASSWORD})
    assert (last().who, last().action, last().subject) == (user, "set password", "user ana")


def test_keys_and_links_made_by_command_are_audited(user: Any, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("create_api_key", "ana")
    plain = capsys.readouterr().out.splitlines()[-1]
    assert (last().action, last().subject, last().after["owner"]) == ("make key", f"API key {plain[:8]}…", "ana")
    assert last().who_name.startswith("command line") and plain not in str(vars(last()))
    call_command("sign_in_link", "ana")
    assert (last().action, last().subject) == ("make sign-in link", "user ana")
    assert sign_in.spend(capsys.readouterr().out.strip().split("/")[-2]) == user

"""One-time links, the limit on wrong passwords, setting a password, and where the visitor lands."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from predictions import keys, roles, sign_in
from predictions.people import SignInAttempt

PASSWORD = "correct horse battery"


@pytest.fixture
def ana(user: Any) -> Any:
    user.set_password(PASSWORD)
    user.save()
    return user


def path_of(link: str) -> str:
    return link.removeprefix(sign_in.site_address())


def try_password(client: Client, password: str, **more: str) -> Any:
    return client.post("/sign-in/", {"username": "ana", "password": password, **more})


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_a_link_signs_in_once(client: Client, user: Any) -> None:
    link = path_of(sign_in.link(user))
    assert client.get(link).status_code == 302
    assert is_signed_in(client)
    assert Client().get(link).status_code == 410


@pytest.mark.django_db(transaction=True)
def test_of_two_that_open_a_link_at_once_one_gets_in(user: Any) -> None:
    token = path_of(sign_in.link(user)).split("/")[2]

    def spend(_: int) -> Any:
        try:
            return sign_in.spend(token)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as people:
        let_in = list(people.map(spend, range(4)))
    assert sum(one is not None for one in let_in) == 1


def test_a_link_dies_after_15_minutes(client: Client, user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    link = path_of(sign_in.link(user))
    late = sign_in._links._now() + timedelta(minutes=15, seconds=1)
    monkeypatch.setattr(sign_in._links, "_now", lambda: late)
    assert client.get(link).status_code == 410


def test_a_preview_of_a_link_does_not_spend_it(client: Client, user: Any) -> None:
    link = path_of(sign_in.link(user))
    assert client.head(link).status_code == 405
    assert client.get(link).status_code == 302


@pytest.mark.parametrize(
    "spoil", [lambda t: t[:-1] + ("0" if t[-1] != "0" else "1"), lambda t: "zz" + t, lambda t: "nonsense"]
)
def test_a_spoilt_link_signs_nobody_in(client: Client, user: Any, spoil: Any) -> None:
    token = path_of(sign_in.link(user)).split("/")[2]
    assert client.get(f"/sign-in/{spoil(token)}/").status_code == 410


def test_a_closed_account_cannot_use_its_link(client: Client, user: Any) -> None:
    link = path_of(sign_in.link(user))
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert client.get(link).status_code == 410


def test_a_password_signs_in(client: Client, ana: Any) -> None:
    assert try_password(client, PASSWORD).status_code == 302
    assert is_signed_in(client)


def test_five_wrong_passwords_make_even_the_right_one_wait(client: Client, ana: Any) -> None:
    for _ in range(5):
        assert try_password(client, "wrong").status_code == 422
    answer = try_password(client, PASSWORD)
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 301
    assert "5 sign-ins have failed for this name from this address" in answer.content.decode()
    assert not is_signed_in(client)


def test_the_wait_ends(client: Client, ana: Any) -> None:
    for _ in range(5):
        try_password(client, "wrong")
    SignInAttempt.objects.update(at=timezone.now() - timedelta(minutes=5, seconds=1))
    assert try_password(client, PASSWORD).status_code == 302


def test_somebody_elses_failures_do_not_lock_the_owner_out(client: Client, ana: Any) -> None:
    for _ in range(5):
        client.post("/sign-in/", {"username": "ana", "password": "wrong"}, REMOTE_ADDR="192.0.2.7")
    assert try_password(client, PASSWORD).status_code == 302


def test_a_success_forgets_the_failures(client: Client, ana: Any) -> None:
    for _ in range(4):
        try_password(client, "wrong")
    try_password(client, PASSWORD)
    assert not SignInAttempt.objects.exists()


def test_an_unknown_name_and_a_wrong_password_read_the_same(client: Client, ana: Any) -> None:
    unknown = client.post("/sign-in/", {"username": "nobody", "password": PASSWORD})
    wrong = client.post("/sign-in/", {"username": "ana", "password": "wrong"})
    said = "The name and the password do not match"
    assert (
        (unknown.status_code, said in unknown.content.decode())
        == (wrong.status_code, said in wrong.content.decode())
        == (422, True)
    )


@pytest.mark.parametrize(
    ("wanted", "lands"),
    [("/jobs/?status=failed", "/jobs/?status=failed"), ("https://evil.example/", "/"), ("//evil.example", "/")],
)
def test_the_visitor_lands_only_on_our_pages(client: Client, ana: Any, wanted: str, lands: str) -> None:
    assert try_password(client, PASSWORD, next=wanted)["Location"] == lands


def test_the_admins_own_sign_in_page_leads_to_ours(client: Client, db: None) -> None:
    assert client.get("/admin/login/?next=/admin/")["Location"] == "/sign-in/?next=/admin/"


def test_signing_out_takes_a_post(client: Client, user: Any) -> None:
    client.force_login(user)
    assert client.get("/sign-out/").status_code == 405
    assert client.post("/sign-out/")["Location"] == "/sign-in/"
    assert not is_signed_in(client)


def test_the_administrator_sets_a_first_password_without_an_old_one(client: Client, db: None) -> None:
    administrator = sign_in.administrator()
    assert not administrator.has_usable_password()
    client.get(path_of(sign_in.link(administrator)))
    answer = client.post("/account/password/", {"new_password1": PASSWORD, "new_password2": PASSWORD})
    assert answer.status_code == 302
    assert sign_in.administrator().check_password(PASSWORD)
    assert is_signed_in(client)


def test_a_lost_password_is_replaced_after_a_link(client: Client, ana: Any) -> None:
    client.get(path_of(sign_in.link(ana)))
    client.post("/account/password/", {"new_password1": "another long one", "new_password2": "another long one"})
    ana.refresh_from_db()
    assert ana.check_password("another long one")


def test_who_signed_in_with_a_password_must_give_it_again(client: Client, ana: Any) -> None:
    try_password(client, PASSWORD)
    answer = client.post(
        "/account/password/", {"new_password1": "another long one", "new_password2": "another long one"}
    )
    assert answer.status_code == 422
    ana.refresh_from_db()
    assert ana.check_password(PASSWORD)


def test_a_short_password_is_refused_with_the_length(client: Client, user: Any) -> None:
    client.force_login(user)
    answer = client.post("/account/password/", {"new_password1": "short", "new_password2": "short"})
    assert answer.status_code == 422
    assert "at least 12 characters" in answer.content.decode()


def test_a_new_key_stands_alone_on_the_last_line(user: Any, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("create_api_key", "ana")
    assert keys.user_of(capsys.readouterr().out.splitlines()[-1]) == user


def test_a_command_for_an_unknown_person_names_those_there_are(user: Any) -> None:
    with pytest.raises(CommandError, match="There is no user 'bob'; there are ana."):
        call_command("sign_in_link", "bob")


@pytest.mark.django_db
def test_of_the_first_administrator_and_of_fresh_roles_there_is_nothing_to_announce(
    django_capture_on_commit_callbacks: Any,
) -> None:
    """Before `up` has chosen the address of its Redis."""
    Group.objects.all().delete()
    with django_capture_on_commit_callbacks() as announced:
        roles.make_groups()
        administrator = sign_in.administrator()
    assert announced == [] and not administrator.has_usable_password() and administrator.is_superuser
    assert Group.objects.get(name="operator").permissions.filter(codename="pause_queues").exists()
    assert sign_in.administrator() == administrator

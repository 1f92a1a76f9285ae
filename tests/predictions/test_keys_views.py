"""API keys in the browser: made, shown once, revoked by their owner alone."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from predictions import keys
from predictions.audit import Audit
from predictions.keys import ApiKey


@pytest.fixture
def ana(client: Client, user: Any) -> Client:
    client.force_login(user)
    return client


def key_in(text: str) -> str:
    found = re.search(r"idk_[A-Za-z0-9_-]{20,}", text)
    assert found
    return found[0]


def test_a_visitor_is_sent_to_sign_in(client: Client, db: None) -> None:
    assert client.get("/keys/").status_code == 302


def test_a_new_key_is_shown_and_works(ana: Client, user: Any) -> None:
    answer = ana.post("/keys/", {"name": "nightly"})
    assert (answer.status_code, keys.user_of(key_in(answer.content.decode()))) == (201, user)


def test_a_key_is_shown_only_once(ana: Client) -> None:
    plain = key_in(ana.post("/keys/", {"name": "nightly"}).content.decode())
    assert plain not in ana.get("/keys/").content.decode()


def test_a_page_with_a_key_is_never_cached(ana: Client) -> None:
    assert "no-store" in ana.post("/keys/", {"name": "nightly"}).headers["Cache-Control"]


@pytest.mark.parametrize("name", ["", "   ", "x" * 81])
def test_a_key_without_a_proper_name_is_not_made(ana: Client, name: str) -> None:
    answer = ana.post("/keys/", {"name": name})
    assert (answer.status_code, b"1 to 80 are allowed" in answer.content, ApiKey.objects.count()) == (422, True, 0)


def test_a_name_is_never_markup(ana: Client) -> None:
    text = ana.post("/keys/", {"name": '"><script>x'}).content.decode()
    assert '"><script>x' not in text


def test_a_revoked_key_stops_working(ana: Client) -> None:
    plain = key_in(ana.post("/keys/", {"name": "nightly"}).content.decode())
    ana.post(f"/keys/{ApiKey.objects.get().pk}/revoke/")
    assert keys.user_of(plain) is None


def test_another_s_key_is_not_found_and_stays(ana: Client, other_user: Any) -> None:
    key, plain = keys.create(other_user, "his")
    assert (ana.post(f"/keys/{key.pk}/revoke/").status_code, keys.user_of(plain)) == (404, other_user)


def test_another_s_key_is_not_listed(ana: Client, other_user: Any) -> None:
    keys.create(other_user, "his secret plan")
    assert b"his secret plan" not in ana.get("/keys/").content


def test_a_get_revokes_nothing(ana: Client, user: Any) -> None:
    key, _ = keys.create(user, "mine")
    assert ana.get(f"/keys/{key.pk}/revoke/").status_code == 405


def test_forms_without_their_token_are_refused(user: Any) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(user)
    key, _ = keys.create(user, "mine")
    assert [strict.post(path).status_code for path in ("/keys/", f"/keys/{key.pk}/revoke/")] == [403, 403]


def test_making_and_revoking_are_in_the_audit(ana: Client) -> None:
    ana.post("/keys/", {"name": "nightly"})
    ana.post(f"/keys/{ApiKey.objects.get().pk}/revoke/")
    assert list(Audit.objects.values_list("action", flat=True)) == ["revoke key", "make key"]

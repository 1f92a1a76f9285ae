from __future__ import annotations

from typing import Any

import pytest

from predictions import keys
from predictions.keys import ApiKey

pytestmark = pytest.mark.django_db


def test_a_key_signs_its_owner_in_and_only_its_hash_is_kept(user: Any) -> None:
    row, plain = keys.create(user, "laptop")
    assert keys.user_of(plain) == user
    assert plain not in str(ApiKey.objects.values()) and row.start == plain[:8]


def test_a_revoked_key_signs_nobody_in(user: Any) -> None:
    row, plain = keys.create(user, "laptop")
    assert keys.revoke(user, row.pk) and keys.user_of(plain) is None


def test_nobody_revokes_anothers_key(user: Any, other_user: Any) -> None:
    row, plain = keys.create(user, "laptop")
    assert not keys.revoke(other_user, row.pk) and keys.user_of(plain) == user


def test_the_key_of_a_person_who_was_deactivated_signs_nobody_in(user: Any) -> None:
    _, plain = keys.create(user, "laptop")
    user.is_active = False
    user.save()
    assert keys.user_of(plain) is None


def test_a_word_that_is_no_key_signs_nobody_in(db: None) -> None:
    assert keys.user_of("idk_guess") is None


def test_the_use_of_a_key_is_noted(user: Any) -> None:
    _, plain = keys.create(user, "laptop")
    keys.user_of(plain)
    assert ApiKey.objects.get().last_used is not None

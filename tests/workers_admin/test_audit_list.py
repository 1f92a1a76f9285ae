from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model

from predictions import audit
from workers_admin.audit_list import PAGE, AuditList, names

pytestmark = pytest.mark.django_db


def subjects(**given: Any) -> list[str]:
    entries, _ = AuditList(given).page()
    return [entry.subject for entry in entries]


def test_entries_are_listed_newest_first_and_filtered_by_who_and_what(user: Any, staff: Any) -> None:
    audit.write(user, "revoke", "job 1", "revoked")
    audit.write(staff, "revoke", "job 2", "revoked")
    audit.write(staff, "retry", "job 3", "queued")
    assert subjects() == ["job 3", "job 2", "job 1"]
    assert subjects(who="olga", action="revoke") == ["job 2"]
    assert names() == (["ana", "olga"], ["retry", "revoke"])


def test_pages_follow_by_key_and_none_is_shown_twice(staff: Any) -> None:
    for number in range(PAGE + 3):
        audit.write(staff, "revoke", f"job {number}", "revoked")
    first, query = AuditList({}).page()
    audit.write(staff, "revoke", "came meanwhile", "revoked")
    second, end = AuditList({"before": query.removeprefix("before=")}).page()
    assert [entry.subject for entry in second] == ["job 2", "job 1", "job 0"] and end == "" and len(first) == PAGE


def test_only_the_first_page_of_all_entries_moves() -> None:
    assert AuditList({}).is_live and not AuditList({"who": "olga"}).is_live and not AuditList({"before": "7"}).is_live


def test_an_entry_outlives_the_person(user: Any) -> None:
    entry = audit.write(user, "revoke", "job 1", "revoked")
    get_user_model().objects.filter(pk=user.pk).delete()
    entry.refresh_from_db()
    assert entry.who is None and entry.who_name == "ana"

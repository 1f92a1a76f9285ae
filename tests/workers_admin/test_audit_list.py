from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from predictions import audit
from predictions.audit import Audit
from workers_admin.audit_changes import changes
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


def test_entries_are_filtered_by_what_they_are_about_as_people_type_it(staff: Any) -> None:
    job_id = uuid4()
    for subject in (f"job {job_id}", "queue realtime", "worker realtime@here", "model digits@1"):
        audit.write(staff, "act", subject, "done")
    audit.write(staff, "other act", "queue realtime", "done")
    assert subjects(subject=str(job_id)) == subjects(subject=f"job {job_id}") == [f"job {job_id}"]
    assert subjects(subject="realtime") == ["queue realtime", "queue realtime"]
    assert subjects(subject="realtime", who="olga", action="act") == ["queue realtime"]
    assert subjects(subject="realtime@here") == ["worker realtime@here"] and subjects(subject="nothing") == []


def test_entries_are_filtered_by_time(staff: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for hour in (9, 10, 11, 12):
        monkeypatch.setattr(timezone, "now", lambda hour=hour: datetime(2026, 11, 21, hour, 30, tzinfo=UTC))
        audit.write(staff, "act", f"job {hour}", "done")
    monkeypatch.undo()
    assert subjects(after="2026-11-21T10:30", until="2026-11-21T12:30") == ["job 11", "job 10"]
    assert subjects(after="2026-11-21T12:31") == [] and len(subjects(until="2030-01-01T00:00")) == 4


def test_a_filter_that_cannot_be_read_shows_nothing_and_says_so(staff: Any) -> None:
    audit.write(staff, "act", "job 1", "done")
    listed = AuditList({"after": "yesterday", "who": "olga"})
    assert listed.page() == ([], "") and "That is no time." in str(listed.form.errors["after"]) and not listed.is_live


def test_the_next_page_keeps_the_filters(staff: Any) -> None:
    for number in range(PAGE + 1):
        audit.write(staff, "act", f"job {number}", "done")
    _, query = AuditList({"who": "olga", "after": "2020-01-01T00:00"}).page()
    assert query == f"who=olga&after=2020-01-01T00%3A00&before={Audit.objects.get(subject='job 1').pk}"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"paused": False}, {"paused": True}, [("paused", "no", "yes")]),
        (None, {"groups": ["viewer", "operator"]}, [("groups", None, "viewer, operator")]),
        ({"worker_name": "", "n": 3}, {"n": 3}, [("worker name", "none", None), ("n", "3", "3")]),
        ({"nested": {"a": 1}}, None, [("nested", '{"a": 1}', None)]),
        (["of", "another", "release"], None, [("value", "of, another, release", None)]),
        (None, None, []),
    ],
)
def test_what_was_before_and_is_after_is_told_in_words(before: Any, after: Any, told: list[Any], staff: Any) -> None:
    entry = audit.write(staff, "act", "job 1", "done", None, before, after)
    assert [(change.name, change.before, change.after) for change in changes(entry)] == told


def test_the_page_shows_what_changed(client: Client, staff: Any) -> None:
    audit.write(staff, "pause queue", "queue realtime", "paused", None, {"paused": False}, {"paused": True})
    client.force_login(staff)
    page = client.get("/console/audit/").content.decode()
    assert "<s>no</s>" in page and "<strong>yes</strong>" in page


def test_who_looks_for_a_jobs_entries_is_told_where_acts_on_many_are_found(client: Client, staff: Any) -> None:
    job_id = uuid4()
    client.force_login(staff)
    for subject in (str(job_id), f"job {job_id}"):
        assert f'href="/jobs/{job_id}/"' in client.get("/console/audit/", {"subject": subject}).content.decode()
    assert "one entry" not in client.get("/console/audit/", {"subject": "realtime"}).content.decode()

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client

from predictions import audit
from predictions.audit import Audit
from tests.predictions.live import session_key
from tests.roles.people import person
from workers_admin import audit_export

pytestmark = pytest.mark.django_db(transaction=True)


def exported(user: Any, query: str = "") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(async_to_sync(_fetched)(session_key(user), query))))


async def _fetched(session: str, query: str) -> str:
    browser = AsyncClient()
    browser.cookies["sessionid"] = session
    answer: Any = await browser.get(f"/console/audit/export.csv{query}")
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv; charset=utf-8")
    return b"".join([block async for block in answer.streaming_content]).decode()


def test_all_that_match_are_exported_in_blocks_and_no_cell_is_a_formula(
    staff: Any, user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_export, "ENTRIES_AT_ONCE", 2)
    for number in range(5):
        audit.write(user, "revoke", f"job {number}", "=cmd()", "10.0.0.7", {"status": "queued"}, {"status": "revoked"})
    audit.write(staff, "retry", "job 9", "queued")
    rows = exported(staff, "?who=ana")
    assert [row["subject"] for row in rows] == [f"job {number}" for number in (4, 3, 2, 1, 0)]
    assert (rows[0]["outcome"], rows[0]["before"], rows[0]["address"]) == (
        "'=cmd()",
        '{"status": "queued"}',
        "10.0.0.7",
    )
    assert rows[0]["at"].endswith("Z") and rows[0]["number"] == str(Audit.objects.get(subject="job 4").pk)


def test_an_export_is_an_entry_and_the_first_in_its_file(staff: Any) -> None:
    assert [(row["action"], row["outcome"]) for row in exported(staff)] == [("export audit", "all entries")]
    assert exported(staff, "?action=export+audit")[0]["outcome"] == "all that match action=export+audit"


def test_a_filter_that_cannot_be_read_exports_nothing_and_leads_back(client: Client, staff: Any) -> None:
    client.force_login(staff)
    answer = client.get("/console/audit/export.csv?after=yesterday")
    assert answer.headers["Location"] == "/console/audit/?after=yesterday" and not Audit.objects.exists()
    assert "That is no time." in client.get(answer.headers["Location"]).content.decode()


def test_the_button_is_shown_to_who_may_export(client: Client) -> None:
    shown = {}
    for role in ("operator", "administrator"):
        client.force_login(person(role))
        shown[role] = "Export CSV" in client.get("/console/audit/").content.decode()
    assert shown == {"operator": False, "administrator": True}

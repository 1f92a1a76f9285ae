"""Revoking in the browser: several that were selected, and all that match once their number is typed."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from predictions.model_cards import ModelCard
from predictions.models import State
from tests.predictions.jobs import claimed, now, submit_digit

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("path", ["/jobs/", "/console/results/?user=olga"])
def test_the_confirmation_counts_what_will_happen_to_the_selected(
    path: str, admin_page: Page, web: str, staff: Any, digits: ModelCard
) -> None:
    waiting, _ = submit_digit(staff, digits), claimed(submit_digit(staff, digits))
    page = admin_page
    page.goto(web + path)
    for box in page.get_by_role("checkbox", name="Select job").all():
        box.check()
    page.get_by_role("button", name="Revoke", exact=True).click()
    expect(page.locator("#confirm-detail")).to_have_text(
        "1 waits and never starts; 1 runs and keeps no result. Inputs stay, so they can be retried."
    )
    page.locator("#confirm").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("Revoke: 1 never started, 1 stopping.")).to_be_visible()
    assert now(waiting).state == State.REVOKED


def test_all_that_match_are_revoked_from_the_list(admin_page: Page, web: str, staff: Any, digits: ModelCard) -> None:
    jobs = [submit_digit(staff, digits) for _ in range(3)]
    page = admin_page
    page.goto(f"{web}/jobs/?queue=realtime")
    page.get_by_role("link", name="Revoke all that match").click()
    expect(page.get_by_text("3 wait and never start")).to_be_visible()
    page.get_by_label("Type 3 to confirm").fill("3")
    page.get_by_role("button", name="Revoke 3 jobs").click()
    page.wait_for_url("**/jobs/?queue=realtime")
    expect(page.get_by_text("Revoke: 3 never started.")).to_be_visible()
    assert {now(job).state for job in jobs} == {State.REVOKED}

"""What was confirmed is what is done, whatever the page shows by then: others act while somebody reads the question."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from predictions import pausing
from predictions.model_cards import ModelCard
from predictions.models import Job, State
from predictions.pauses import paused_queues
from predictions.revocation import revoke
from tests.journeys.conftest import Complaints
from tests.predictions.jobs import now, submit_digit

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_resume_that_was_confirmed_never_pauses_a_queue_that_somebody_else_resumed(
    admin_page: Page, web: str, staff: Any
) -> None:
    pausing.pause("realtime", staff)
    page = admin_page
    page.goto(f"{web}/console/queues/")
    card = page.locator("#queue-realtime")
    card.get_by_role("button", name="Resume").click()
    pausing.resume("realtime", staff)
    expect(card.locator("button", has_text="Pause")).to_be_attached()
    page.locator("#confirm").get_by_role("button", name="Resume").click()
    expect(page.get_by_text("realtime is not paused.")).to_be_visible()
    assert paused_queues() == set()


def test_a_revoke_that_was_confirmed_never_retries_a_job_that_ended_meanwhile(
    admin_page: Page, web: str, staff: Any, digits: ModelCard, complaints: Complaints
) -> None:
    complaints.expected = ("409",)
    job = submit_digit(staff, digits)
    page = admin_page
    page.goto(f"{web}/jobs/{job.pk}/")
    page.get_by_role("button", name="Revoke").click()
    revoke(job, staff)
    expect(page.locator("#job-head").get_by_text("Retry")).to_be_attached()
    page.locator("#confirm").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("is revoked")).to_be_visible()
    assert [now(job).state, Job.objects.count()] == [State.REVOKED, 1]

"""Every page, light and dark, wide and narrow: no axe violation, no console error, no sideways scroll."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from predictions import outcomes
from predictions.clock import Clock
from predictions.model_cards import ModelCard
from predictions.models import Job
from predictions.outcomes import Ending
from tests.predictions.jobs import SUCCESS, claimed, submit_digit, submit_rows
from tests.workers_admin.facts import process

pytestmark = pytest.mark.django_db(transaction=True)
AXE = Path(__file__).parent.parent / "vendor" / "axe.min.js"
RUN_AXE = (
    "async () => (await axe.run(document, {runOnly: ['wcag2a','wcag2aa','wcag21a','wcag21aa','wcag22aa']})).violations"
)
PAGES = [
    "/", "/jobs/", "/models/", "/api/", "/keys/", "/account/password/", "/no-such-page/",
    "/console/", "/console/queues/", "/console/workers/", "/console/results/", "/console/audit/",
    "/jobs/revocations/matching/", "/console/results/?error=broke", "/console/queues/purges/realtime/",
]  # fmt: skip


@pytest.fixture
def jobs_of_every_state(staff: Any, digits: ModelCard) -> list[Job]:
    """One job a state, made as the product makes them."""
    jobs = [submit_digit(staff, digits), submit_rows(staff, digits, rows=5, parts=2)]
    for ending in (
        SUCCESS,
        Ending(outcomes.State.FAILED, error={"code": "worker_error", "message": "It broke."}, traceback="Traceback …"),
    ):
        claim = claimed(submit_digit(staff, digits))
        outcomes.finish(claim.job.pk, claim.attempt, ending)
        jobs.append(claim.job)
    jobs.append(claimed(submit_digit(staff, digits)).job)
    ids = [str(job.pk) for job in jobs]
    process("lost@here", age_s=30, state="busy", job=ids[0], last_jobs=ids)
    process("stuck@here", celery_at=Clock() - 100.0, state="busy", job=ids[0], queues_asked=["batch"], gpu_percent=40.0)
    return jobs


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_is_accessible(
    admin_page: Page, web: str, jobs_of_every_state: list[Job], complaints: Any, scheme: Any, width: int
) -> None:
    page = admin_page
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    complaints.expected = ("status of 404",)  # /no-such-page/ is asked for on purpose
    found = []
    of_jobs = [path for job in jobs_of_every_state for path in (job.get_absolute_url(), f"/console/results/{job.pk}/")]
    for path in [*PAGES, *of_jobs]:
        page.goto(web + path)
        page.evaluate(AXE.read_text())
        found += [
            f"{path}: {each['id']} {[node['target'] for node in each['nodes']]}" for each in page.evaluate(RUN_AXE)
        ]
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            found.append(f"{path}: scrolls sideways at {width}")
    assert found == []


@pytest.mark.parametrize("path", ["/admin/", "/admin/auth/user/", "/admin/auth/user/add/", "/api/v1/docs"])
def test_pages_of_others_obey_the_policy_too(admin_page: Page, web: str, path: str) -> None:
    admin_page.goto(web + path)
    admin_page.wait_for_load_state("networkidle")
    assert admin_page.title()

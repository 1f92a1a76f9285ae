"""What a new user does on the first day, in Chromium against the real processes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from predictions import worker as worker_package
from tests.conftest import StartWorker
from tests.journeys.conftest import Complaints

pytestmark = pytest.mark.django_db(transaction=True)
DIGITS_CSV = Path(worker_package.__file__).parent.parent / "demo" / "digits.csv"


def draw_a_one(page: Page) -> None:
    """One stroke from the top to the bottom of the pad, a little right of its middle."""
    box = page.locator("#pad").bounding_box()
    assert box
    x = box["x"] + box["width"] * 0.56
    page.mouse.move(x, box["y"] + box["height"] * 0.06)
    page.mouse.down()
    page.mouse.move(x, box["y"] + box["height"] * 0.94, steps=24)
    page.mouse.up()


@pytest.mark.usefixtures("steward")
def test_draw_a_digit_score_a_file_revoke_and_sign_out(
    a_worker: StartWorker, admin_page: Page, web: str, tmp_path: Path
) -> None:
    page = admin_page
    expect(page.locator("#connection")).to_contain_text("Live")
    a_worker("realtime")

    # A digit drawn on the pad is classified while the page shows it happen.
    draw_a_one(page)
    expect(page.locator("#vector-count")).to_contain_text("64 of 64")
    page.get_by_role("button", name="Predict").click()
    sent = page.get_by_role("region", name="Just sent")
    expect(sent).to_contain_text("Succeeded")
    expect(sent.locator(".answer-label")).to_have_text(re.compile(r"^\d$"))
    assert not page.evaluate("performance.getEntriesByType('navigation').length > 1")

    # Nobody serves batch yet: the file waits, and the page says what to do; revoked, it never runs.
    page.get_by_role("tab", name="CSV").click()
    page.set_input_files("#file", DIGITS_CSV)
    expect(page.locator("#draft")).to_contain_text("1,797")
    page.get_by_role("button", name="Score 1,797 rows").click()
    expect(page.locator("#sent")).to_contain_text("no worker serves batch")
    page.locator("#sent").get_by_role("link", name="Open job").click()
    page.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.locator("#job-head")).to_contain_text("Revoked")

    # Tried again with a worker, it ends before our eyes and its result is downloaded.
    a_worker("batch")
    page.get_by_role("button", name="Retry").click()
    expect(page.locator("#job-head")).to_contain_text("Succeeded")
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("Download|CSV")).first.click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0] == "row,class,label,confidence" and len(lines) == 1798

    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/sign-in/"))
    assert page.goto(f"{web}/jobs/").url.startswith(f"{web}/sign-in/")  # type: ignore[union-attr]


def test_bad_input_is_named_beside_the_field_and_kept(admin_page: Page, complaints: Complaints) -> None:
    complaints.expected = ("status of 422",)
    typed = ", ".join(["0"] * 63 + ["three"])
    page = admin_page
    page.locator("#vector").fill(typed)
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#vector-problem")).to_contain_text("'three' is not a number")
    expect(page.locator("#vector")).to_have_value(typed)


def test_the_bad_cells_of_a_file_are_named_by_line_and_column(admin_page: Page, tmp_path: Path) -> None:
    lines = DIGITS_CSV.read_text().splitlines()[:4]
    lines[2] = "abc" + lines[2][lines[2].index(",") :]
    bad = tmp_path / "bad.csv"
    bad.write_text("\n".join(lines) + "\n")
    page = admin_page
    page.get_by_role("tab", name="CSV").click()
    page.set_input_files("#file", bad)
    expect(page.locator("#draft")).to_contain_text("pixel_0_0")
    expect(page.locator("#draft")).to_contain_text("'abc' is not a number")


def test_a_list_shows_a_job_that_another_window_made(admin_page: Page, web: str, staff: Any, digits: Any) -> None:
    page = admin_page
    page.goto(f"{web}/jobs/")
    expect(page.locator("#connection")).to_contain_text("Live")
    other = page.context.new_page()
    other.goto(web)
    other.get_by_role("link", name="Fill an example").click()
    other.get_by_role("button", name="Predict").click()
    expect(other.locator("#sent")).to_contain_text("Queued")
    other.close()
    expect(page.get_by_role("button", name=re.compile("Show 1 new job"))).to_be_visible()

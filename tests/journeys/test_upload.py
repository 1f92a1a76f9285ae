"""A table on its way: other names are matched, a broken connection keeps the file, a refusal is told at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import StartWorker
from tests.journeys.conftest import Complaints
from tests.journeys.test_pages import AXE, RUN_AXE

pytestmark = pytest.mark.django_db(transaction=True)
NAMES = [*(f"pixel_{at // 8}_{at % 8}" for at in range(62)), "breadth", "height"]


def a_file(folder: Path, rows: int = 20, first: str = ",".join(["label", *NAMES])) -> Path:
    file = folder / "measured.csv"
    file.write_text(
        "\n".join([first, *(f"x,{','.join(str((row + at) % 17) for at in range(64))}" for row in range(rows))])
    )
    return file


def violations(page: Page) -> list[str]:
    """What axe and the width of the page find, light and wide, dark and narrow."""
    found = []
    for scheme, width in (("light", 1280), ("dark", 390)):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(500)  # colours change gently
        found += [f"{scheme} {width}: {each['id']}" for each in page.evaluate(RUN_AXE)]
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            found.append(f"scrolls sideways at {width}")
    return found


def test_a_file_with_other_names_is_matched_by_hand_and_scored(
    a_worker: StartWorker, admin_page: Page, complaints: Complaints, tmp_path: Path
) -> None:
    complaints.expected = ("status of 422",)
    page = admin_page
    a_worker("batch")
    page.get_by_role("tab", name="CSV").click()
    page.set_input_files("#file", a_file(tmp_path))
    expect(page.locator("#draft")).to_contain_text("62 of 64 features found by name; 2 to choose")
    page.evaluate(AXE.read_text())
    assert violations(page) == []

    # By keyboard: the preview follows each choice, and the focus stays where it was.
    page.get_by_label("pixel_7_6").focus()
    page.get_by_label("pixel_7_6").select_option(value="breadth")
    expect(page.locator(".preview th").first).to_have_text("pixel_7_6breadth")
    expect(page.get_by_label("pixel_7_6")).to_be_focused()
    page.get_by_role("button", name="Use these columns").click()
    expect(page.locator("#draft-problem")).to_contain_text("1 feature has no column yet: pixel_7_7.")
    page.get_by_label("pixel_7_7").select_option(value="height")
    expect(page.locator("#draft")).to_contain_text("64 of 64")
    page.get_by_role("button", name="Use these columns").press("Enter")
    expect(page.locator("#draft")).to_contain_text("Columns were matched by hand.")
    expect(page.locator("#draft-name")).to_be_focused()

    page.get_by_role("button", name="Score 20 rows").click()
    expect(page.locator("#sent")).to_contain_text("Succeeded")
    page.set_input_files("#file", a_file(tmp_path))
    expect(page.locator("#draft")).to_contain_text("Columns matched as you did before for digits.")


@pytest.mark.long
def test_a_broken_connection_keeps_the_file_and_a_refusal_does_not_wait_for_its_end(
    admin_page: Page, complaints: Complaints, tmp_path: Path
) -> None:
    complaints.expected = ("ERR_CONNECTION_RESET", "status of 422", "status of 502")
    page = admin_page
    page.get_by_role("tab", name="CSV").click()
    page.route("**/drafts/**", lambda route: route.abort("connectionreset"))
    page.set_input_files("#file", a_file(tmp_path))
    expect(page.locator("#csv-problem")).to_contain_text("The connection broke off")
    page.unroute("**/drafts/**")
    page.route("**/drafts/**", lambda route: route.fulfill(status=502, body="<html><body>bad gateway</body></html>"))
    page.get_by_role("button", name="Send measured.csv again").click()
    expect(page.locator("#csv-problem")).to_contain_text("The server answered with an error (502)")
    page.unroute("**/drafts/**")
    page.get_by_role("button", name="Send measured.csv again").click()
    expect(page.locator("#draft")).to_contain_text("2 to choose")
    page.get_by_role("button", name="Remove").click()

    # 40 MB of which the first line is wrong: the sentence comes over the connection that still takes the file.
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("1,2,3\n" * 6_700_000)
    page.set_input_files("#file", wrong)
    expect(page.locator("#csv-problem")).to_contain_text("The first line has 3 values")
    expect(page.get_by_role("button", name=re.compile("again"))).to_have_count(0)

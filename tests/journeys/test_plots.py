"""The overview's plots in Chromium: they move without a reload, follow theme and width, and tell their values as tables."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from predictions import clock
from tests.journeys.test_pages import AXE, RUN_AXE
from tests.processes import eventually
from workers_admin import samples
from workers_admin.histograms import bucket_of
from workers_admin.stretches import Stretch

pytestmark = pytest.mark.django_db(transaction=True)
# How many pixels of a plot have the colour of this token.
PIXELS = """(canvas, token) => {
  const probe = document.createElement("canvas").getContext("2d");
  probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(token);
  probe.fillRect(0, 0, 1, 1);
  const [red, green, blue] = probe.getImageData(0, 0, 1, 1).data;
  const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let found = 0;
  for (let n = 0; n < all.length; n += 4) found += all[n] === red && all[n + 1] === green && all[n + 2] === blue;
  return found;
}"""

# Remembers the words that each plot has beside its axes.
HEAR_AXES = """
  const write = CanvasRenderingContext2D.prototype.fillText;
  window.written = {};
  CanvasRenderingContext2D.prototype.fillText = function (words, ...where) {
    const name = this.canvas.closest("[data-plot]")?.dataset.plot;
    (window.written[name] ??= []).push(words);
    return write.call(this, words, ...where);
  };
"""


def write(at: int, waiting: int | None) -> None:
    stretch = Stretch(gauges={"waiting": waiting, "unpublished": 0})
    stretch.counts["succeeded"] = 50
    stretch.histograms["waits"] = {40: 50}
    if at % 70 == 0:
        stretch.histograms["runs"] = {20: 50}
    samples.write(10, at, {("realtime", ""): stretch})


def write_ten_minutes() -> int:
    """For a minute of them Redis was frozen, and runs are known of every seventh. Returns when the last stretch began."""
    last = int(clock.now_s()) // 10 * 10 - 10
    for at in range(last - 600, last + 10, 10):
        write(at, None if last - 200 < at < last - 140 else 100 + at % 7)
    return last


def plot(page: Page, name: str) -> Locator:
    return page.locator(f"[data-plot={name}]")


def told(page: Page, name: str) -> Locator:
    """The newest row of the table that stands for a plot."""
    return plot(page, name).locator("tbody tr").last


def seen(page: Page, name: str, token: str) -> int:
    """Pixels of that colour."""
    return int(plot(page, name).locator("canvas").evaluate(PIXELS, token))


def moment(page: Page, name: str) -> str:
    """Which the legend of a plot tells."""
    return plot(page, name).locator(".u-value").first.inner_text()


def test_the_plots_move_together_and_without_a_reload(admin_page: Page, web: str) -> None:
    page = admin_page
    page.goto(f"{web}/console/?range=15m&of=realtime")
    expect(page.locator("#plots")).to_contain_text("No samples yet")
    page.evaluate("window.stayed = true")

    # The first points appear, and then the next one.
    last = write_ten_minutes()
    expect(told(page, "throughput")).to_contain_text("5/s")
    expect(page.get_by_text("No samples yet")).to_be_hidden()
    write(last + 10, 1_234_567)
    expect(told(page, "depth")).to_contain_text("1,234,567")
    assert page.evaluate("window.stayed")

    # One pointer shows the same moment everywhere; away from it the legends tell the newest.
    newest = moment(page, "wait")
    plot(page, "depth").locator(".u-over").hover(position={"x": 150, "y": 40})
    assert moment(page, "wait") == moment(page, "depth") == moment(page, "micro-batch") != newest
    page.locator("h1").hover()
    assert moment(page, "wait") == newest

    # Another range is a link, and keeps whose jobs are shown.
    page.get_by_role("navigation", name="How far back").get_by_role("link", name="6 h").click()
    page.wait_for_url("**/console/?range=6h&of=realtime#plots")
    expect(page.locator("#plots [aria-current]")).to_have_text(["6 h", "realtime"])
    expect(told(page, "depth")).to_contain_text("1,234,567")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_the_plots_follow_the_theme_and_the_width(admin_page: Page, web: str, scheme: Any, width: int) -> None:
    page = admin_page
    write_ten_minutes()
    page.emulate_media(color_scheme="dark" if scheme == "light" else "light")
    page.set_viewport_size({"width": 900, "height": 900})
    page.goto(f"{web}/console/?range=15m")
    expect(told(page, "depth")).to_be_attached()
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    assert eventually(lambda: seen(page, "depth", "--plot-1") > 100)
    assert seen(page, "run", "--plot-4") > 8, "a value between two gaps is a point"
    page.evaluate(AXE.read_text())
    assert [each["id"] for each in page.evaluate(RUN_AXE)] == []
    assert not page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")


def test_the_axes_count_whole_jobs_and_divide_time_as_clocks_do(admin_page: Page, web: str) -> None:
    stretch = Stretch(gauges={"waiting": 1, "unpublished": 0})
    stretch.histograms["waits"] = {bucket_of(440.0): 50}
    samples.write(10, int(clock.now_s()) // 10 * 10 - 10, {("realtime", ""): stretch})
    page = admin_page
    page.add_init_script(HEAR_AXES)
    page.goto(f"{web}/console/?range=15m&of=realtime")
    expect(told(page, "wait")).to_contain_text("min")
    words = page.evaluate("window.written")
    assert "4 min" in words["wait"] and not [each for each in words["wait"] if "." in each]
    assert {"0", "1"} <= set(words["depth"]) and not [each for each in words["depth"] if "." in each]

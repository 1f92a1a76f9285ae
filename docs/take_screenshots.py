"""`make screenshots`: every page of a product that runs (`make run`), light and dark, wide and narrow, into DATA_DIR/screenshots.

The submit page with a digit just classified goes to docs/submit.png as well, for the README.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inference_site.settings")
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # Playwright's loop runs in this thread
django.setup()

from django.conf import settings
from playwright.sync_api import BrowserContext, Page, sync_playwright

from predictions import sign_in
from predictions.models import Job
from tests.journeys.conftest import ARGUMENTS

PAGES = {
    "submit": "/",
    "jobs": "/jobs/",
    "models": "/models/",
    "api": "/api/",
    "keys": "/keys/",
    "console": "/console/",
    "queues": "/console/queues/",
    "workers": "/console/workers/",
    "results": "/console/results/",
    "audit": "/console/audit/",
}
WIDTHS = (1280, 390)
SETTLED_MS = 900


def main() -> None:
    folder = settings.DATA_DIR / "screenshots"
    folder.mkdir(exist_ok=True)
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        page.goto(sign_in.link(sign_in.administrator()))
        classify(page, Path(__file__).with_name("submit.png"))
        for scheme in ("light", "dark"):
            for width in WIDTHS:
                take(context, folder, scheme, width)
        browser.close()
    sys.stdout.write(f"The screenshots are in {folder}.\n")


def classify(page: Page, file: Path) -> None:
    page.get_by_role("link", name="Fill an example").click()
    page.get_by_role("button", name="Predict").click()
    page.get_by_text("Done").wait_for()
    page.wait_for_timeout(SETTLED_MS)
    page.screenshot(path=file)


def take(context: BrowserContext, folder: Path, scheme: str, width: int) -> None:
    page = context.new_page()
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 900})
    jobs = {f"job-{job.kind}-{job.state}": job.get_absolute_url() for job in Job.objects.order_by("pk")}
    for name, path in (PAGES | jobs).items():
        page.goto(f"{sign_in.site_address()}{path}")
        page.wait_for_timeout(SETTLED_MS)
        page.screenshot(path=folder / f"{name}-{scheme}-{width}.png", full_page=True)
    page.close()


if __name__ == "__main__":
    main()

"""A whole product for the browser: web, workers and steward on the test database, and Chromium that forgives no error."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, expect

from predictions import sign_in

# Facts 39: what Chromium needs as root and without a network.
PATIENCE_MS = 20_000
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert executable, "Chromium is missing: run `make test`, which installs it"
    return {**browser_type_launch_args, "executable_path": executable, "args": ARGUMENTS}


class Complaints:
    """What the browser's console said: errors, warnings, and violations of the policy.

    Chromium itself reports an answer of 4xx; a test that provokes one says so in `expected`.
    """

    def __init__(self, page: Page) -> None:
        self.heard: list[str] = []
        self.expected: tuple[str, ...] = ()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.heard.append(str(error)))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not any(words in message.text for words in self.expected):
            self.heard.append(f"{message.type}: {message.text}")


@pytest.fixture
def complaints(page: Page) -> Iterator[Complaints]:
    """Zero console errors and zero violations of the policy, whatever the test does."""
    heard = Complaints(page)
    yield heard
    assert heard.heard == []


@pytest.fixture
def admin_page(page: Page, web: str, staff: Any, complaints: Complaints) -> Page:
    """Signed in by a one-time link."""
    page.goto(web + urlsplit(sign_in.link(staff)).path)
    return page


@pytest.fixture
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, "viewport": {"width": 1280, "height": 900}}


@pytest.fixture(autouse=True)
def patient(context: BrowserContext) -> None:
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)

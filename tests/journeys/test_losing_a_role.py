"""A page that is open while its reader's role is taken away."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import Group
from playwright.sync_api import Page, expect

from predictions import sign_in

pytestmark = pytest.mark.django_db(transaction=True)
SETTLED_MS = 5_500


@pytest.fixture
def viewer_page(page: Page, web: str, user: Any, complaints: Any) -> Page:
    complaints.expected = ("status of 403",)
    user.groups.add(Group.objects.get(name="viewer"))
    page.goto(web + urlsplit(sign_in.link(user)).path)
    return page


@pytest.mark.long
def test_a_page_that_may_not_be_seen_any_more_says_so_within_moments(viewer_page: Page, web: str, user: Any) -> None:
    viewer_page.goto(f"{web}/console/queues/")
    expect(viewer_page.locator("#connection")).to_contain_text("Live")
    viewer_page.wait_for_timeout(SETTLED_MS)
    user.groups.clear()
    expect(viewer_page.locator("h1")).to_have_text("Not permitted")


@pytest.mark.long
def test_what_was_typed_into_a_page_stays(viewer_page: Page, web: str, user: Any) -> None:
    viewer_page.goto(f"{web}/console/results/")
    expect(viewer_page.locator("#connection")).to_contain_text("Live")
    viewer_page.locator("#search-error").fill("out of memory")
    viewer_page.wait_for_timeout(SETTLED_MS)
    user.groups.clear()
    expect(viewer_page.locator("#connection")).to_contain_text("Offline")
    expect(viewer_page.locator("#search-error")).to_have_value("out of memory")

"""A queue on the overview: how deep it is, and how that has changed."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from predictions import clock
from tests.workers_admin.facts import depth
from workers_admin.conditions import Facts
from workers_admin.models import Sample
from workers_admin.overview_cards import OverviewCard, cards
from workers_admin.trends import Point


def card(*depths: int | None) -> OverviewCard:
    points = [Point(1000 + 10 * n, waited) for n, waited in enumerate(depths)]
    (found,) = cards(Facts([depth()], [], 0.0, trends={"realtime": points}))
    return found


@pytest.mark.parametrize(
    ("depths", "trend"),
    [
        ((20, 900, 1140), "1,120 more than 20 s ago"),
        ((1140, 20), "1,120 fewer than 10 s ago"),
        ((7, 90, 7), "as many as 20 s ago"),
        ((None, 5, None, 6), "1 more than 20 s ago"),
    ],
    ids=["more", "fewer", "as many", "where it is known"],
)
def test_the_trend_compares_with_when_it_was_first_known(depths: tuple[int | None, ...], trend: str) -> None:
    assert card(*depths).trend == trend


def test_the_line_ends_at_the_right_and_its_highest_point_is_the_deepest() -> None:
    assert card(0, 50, 100).line == "93.3,24.0 96.7,12.0 100.0,0.0"


def test_the_line_of_an_empty_queue_lies_on_the_ground() -> None:
    assert card(0, 0).line == "96.7,24.0 100.0,24.0"


def test_nothing_is_drawn_of_a_queue_that_nobody_has_looked_at() -> None:
    assert card().depths == card(None, None).depths == []


def test_the_overview_shows_the_trend_and_that_a_queue_is_paused(client: Client, staff: Any) -> None:
    client.force_login(staff)
    assert b"console-trend" not in client.get("/console/").content
    now = int(clock.now_s()) // 10 * 10
    for ago, waiting in ((20, 5), (10, 45)):
        Sample.objects.create(queue="realtime", model="", every_s=10, at=now - ago, waiting=waiting, unpublished=0)
    client.post("/console/queues/pauses/", {"queue": "realtime"})
    shown = client.get("/console/").content.decode()
    assert "40 more than 10 s ago" in shown
    assert "Paused" in shown

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from predictions.clock import Clock
from predictions.models import utc_now
from workers_admin import incidents, notices
from workers_admin.conditions import Condition
from workers_admin.incidents import CLOSES_AFTER_S, OPENS_AFTER_S, Watcher
from workers_admin.models import Incident, Notice

pytestmark = pytest.mark.django_db

FULL = Condition("disk-/data", "The disk of /data is nearly full.", command="du -x /data")
SILENT = Condition("worker-one", "one is silent: no heartbeat for 7.0 s.", is_bad=False)
LOST = Condition("worker-one", "one is lost: no heartbeat for 13 s.")


def watcher() -> Watcher:
    """One that began at 0 on the clock of these tests."""
    fresh = Watcher()
    fresh._began = 0.0
    return fresh


def unseen_for(seconds: float) -> None:
    Incident.objects.update(seen_at=Clock() - seconds)


def test_what_holds_for_a_while_is_an_incident_from_then_on_and_only_one() -> None:
    steward = watcher()
    for second in (100, 102, 104):
        steward.note([FULL], second)
        assert not Incident.objects.exists()
    for second in (105, 107, 109):
        steward.note([FULL], second)
    incident = Incident.objects.get()
    assert (incident.key, incident.words, incident.command) == ("disk-/data", FULL.words, FULL.command)
    assert incident.ended is None
    assert utc_now() - incident.began >= timedelta(seconds=OPENS_AFTER_S)


def test_what_comes_and_goes_within_the_moment_is_no_incident() -> None:
    steward = watcher()
    for second in range(0, 60, 2):
        steward.note([FULL] if second % 4 else [], second)
    assert not Incident.objects.exists()


def test_an_incident_is_over_once_it_was_not_seen_for_a_while() -> None:
    steward = watcher()
    steward.note([FULL], 0), steward.note([FULL], OPENS_AFTER_S)
    steward.note([], 100)
    assert Incident.objects.get().ended is None
    unseen_for(CLOSES_AFTER_S + 1)
    steward.note([], 116)
    assert Incident.objects.get().ended is not None


def test_an_incident_ended_when_it_was_last_seen_and_not_when_a_steward_was_sure_of_it() -> None:
    steward = watcher()
    steward.note([FULL], 0), steward.note([FULL], OPENS_AFTER_S)
    Incident.objects.update(began=utc_now() - timedelta(minutes=9))
    unseen_for(60)
    steward.note([], 100)
    ended = Incident.objects.get().ended
    assert ended is not None and timedelta(seconds=59) < utc_now() - ended < timedelta(seconds=70)


def test_what_comes_back_before_that_is_the_same_incident() -> None:
    steward = watcher()
    steward.note([FULL], 0), steward.note([FULL], OPENS_AFTER_S)
    unseen_for(CLOSES_AFTER_S - 2)
    steward.note([FULL], 100)
    steward.note([], 102)
    assert Incident.objects.get().ended is None


def test_a_steward_that_has_only_begun_closes_nothing() -> None:
    steward = watcher()
    steward.note([FULL], 0), steward.note([FULL], OPENS_AFTER_S)
    unseen_for(600)
    watcher().note([], CLOSES_AFTER_S - 1)
    assert Incident.objects.get().ended is None


def test_what_another_steward_still_sees_is_not_over() -> None:
    """One of two may be cut off from what the other reaches: they must not open and close it in turns."""
    one, other = watcher(), watcher()
    one.note([FULL], 0), one.note([FULL], OPENS_AFTER_S)
    for second in range(20, 60, 2):
        unseen_for(CLOSES_AFTER_S + 1)
        one.note([FULL], second), other.note([], second)
    assert Incident.objects.get().ended is None


def test_a_worker_that_is_silent_and_then_lost_is_one_incident_which_grew_worse() -> None:
    steward = watcher()
    steward.note([SILENT], 0), steward.note([SILENT], OPENS_AFTER_S)
    assert not Incident.objects.get().is_bad
    steward.note([LOST], 8)
    incident = Incident.objects.get()
    assert incident.is_bad and incident.words == LOST.words


@pytest.mark.django_db(transaction=True)
def test_two_stewards_that_look_at_the_same_time_open_it_once(settings: Any) -> None:
    settings.ALERT_EMAILS = ["ops@example.com"]
    together = threading.Barrier(4)

    def look() -> None:
        steward = watcher()
        steward.note([FULL], 0)
        together.wait(10)
        steward.note([FULL], OPENS_AFTER_S)
        connection.close()

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Incident.objects.count() == Notice.objects.count() == 1


def incident(key: str, began: timedelta, ended: timedelta | None = None) -> Incident:
    moment = utc_now()
    return Incident.objects.create(
        key=key, words=f"{key}.", began=moment - began, ended=ended and moment - ended, seen_at=0.0
    )


def test_the_console_lists_what_is_open_and_what_began_within_a_day() -> None:
    incident("old", timedelta(hours=30), timedelta(hours=29))
    incident("open", timedelta(hours=40))
    incident("today", timedelta(hours=2), timedelta(hours=1))
    assert [each.key for each in incidents.lately()] == ["today", "open"]


@pytest.mark.usefixtures("clean_redis")
def test_the_overview_shows_what_is_wrong_since_when_and_what_was(client: Client, staff: Any, settings: Any) -> None:
    settings.ALERT_EMAILS = ["ops@example.com"]
    notices.plan(incident("steward", timedelta(minutes=5)), of_end=False)
    incident("disk", timedelta(hours=2), timedelta(hours=1, minutes=48))
    client.force_login(staff)
    page = client.get("/console/").content.decode()
    strip, _, listed = page.partition('id="incidents"')
    assert "The steward has never run" in strip and "Noted <time" in strip
    assert "still so" in listed and "12 min" in listed
    assert "e-mail to ops@example.com: begin not yet" in listed and "nobody" in listed


@pytest.mark.usefixtures("clean_redis")
def test_the_overview_says_how_to_be_told_where_nobody_is(client: Client, staff: Any) -> None:
    client.force_login(staff)
    assert "Set ALERT_EMAILS or ALERT_WEBHOOK_URL" in client.get("/console/").content.decode()

from __future__ import annotations

import threading

import pytest
from django.db import connection

from predictions.clock import Clock
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
    for second in range(20, 120, 2):
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
def test_two_stewards_that_look_at_the_same_time_open_it_once(settings: object) -> None:
    settings.ALERT_EMAILS = ["ops@example.com"]  # type: ignore[attr-defined]
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


def test_the_console_shows_what_is_open_and_what_began_today() -> None:
    steward = watcher()
    steward.note([FULL], 0), steward.note([FULL], OPENS_AFTER_S)
    assert [incident.key for incident in incidents.lately()] == [FULL.key]
    assert notices.told(incidents.lately()[0]) == []

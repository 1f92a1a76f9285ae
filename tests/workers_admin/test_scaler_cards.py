from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from workers_admin import scaler_rows
from workers_admin.autoscaling import Rules
from workers_admin.launching import Launched
from workers_admin.models import Scaler
from workers_admin.scaler_cards import scalers_context

pytestmark = pytest.mark.django_db


@pytest.fixture
def scaler() -> Scaler:
    row = scaler_rows.register("realtime", Rules(1, 4, 50), is_dry_run=False)
    worker = Launched("realtime-auto1@here", gpu="2", pid=1, state="busy")
    scaler_rows.report(row, [worker], 51, "Holds: 51 wait, more than 50.", "Starts 1 worker: 51 wait.")
    return row


def page(client: Client, staff: Any) -> str:
    client.force_login(staff)
    return client.get("/console/workers/").content.decode()


def aged(row: Scaler, seconds: float) -> None:
    Scaler.objects.filter(pk=row.pk).update(beat_at=row.beat_at - seconds)


def test_an_autoscaler_is_shown_with_its_decision_and_its_workers(client: Client, staff: Any, scaler: Scaler) -> None:
    shown = page(client, staff)
    assert "Autoscaler of realtime" in shown and "Holds: 51 wait, more than 50." in shown
    assert "Starts 1 worker: 51 wait." in shown and "realtime-auto1@here on GPU 2 (busy)" in shown


def test_without_one_the_page_says_how_to_start_it(client: Client, staff: Any) -> None:
    assert "manage.py autoscale --queue realtime --min 1 --max 4 --threshold 50" in page(client, staff)


def test_one_that_fell_silent_is_told_as_such(client: Client, staff: Any, scaler: Scaler) -> None:
    aged(scaler, 60)
    shown = page(client, staff)
    assert "Its workers go on" in shown and "Holds" not in shown


def test_one_that_ended_or_fell_silent_long_ago_is_not_shown(scaler: Scaler) -> None:
    aged(scaler, 4000)
    assert scalers_context()["scalers"] == []
    aged(scaler, 0)
    scaler_rows.end(scaler, [])
    assert scalers_context()["scalers"] == []

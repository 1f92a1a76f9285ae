from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from predictions.audit import Audit
from predictions.errors import NotFound, WrongState
from tests.workers_admin.facts import found
from workers_admin import scaler_rows, stopping
from workers_admin.autoscaling import Rules
from workers_admin.launching import Launched
from workers_admin.models import Scaler
from workers_admin.scaler_cards import scaler_cards, scalers_context

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


def test_one_that_fell_silent_comes_with_the_command_that_starts_it_as_it_was(
    client: Client, staff: Any, scaler: Scaler
) -> None:
    Scaler.objects.all().delete()
    aged(scaler_rows.register("batch", Rules(0, 2, 4, 15.0, 10.0), is_dry_run=False, gpus=["0", "3"]), 60)
    shown = page(client, staff)
    assert "autoscale --queue batch --min 0 --max 2 --threshold 4 --idle 15 --cool-down 10 --gpus 0,3" in shown


def test_one_that_ended_is_not_shown(scaler: Scaler) -> None:
    scaler_rows.end(scaler, [])
    assert scalers_context()["scalers"] == []


def test_a_dry_run_is_shown_while_it_reports(scaler: Scaler) -> None:
    Scaler.objects.update(is_dry_run=True)
    assert len(scalers_context()["scalers"]) == 1
    aged(scaler, 60)
    assert scalers_context()["scalers"] == []


def test_a_silent_one_is_shown_and_told_until_it_is_dismissed_and_audited(staff: Any, scaler: Scaler) -> None:
    aged(scaler, 40_000)
    assert [condition.key for condition in found(scalers=scaler_cards())] == [f"scaler-realtime@{scaler.host}"]
    stopping.dismiss_scaler(str(scaler.pk), staff)
    assert scaler_cards() == [] and Audit.objects.get().action == "dismiss autoscaler"


def test_one_that_reports_or_is_gone_is_not_dismissed(staff: Any, scaler: Scaler) -> None:
    with pytest.raises(WrongState, match="only a silent one can be dismissed"):
        stopping.dismiss_scaler(str(scaler.pk), staff)
    with pytest.raises(NotFound):
        stopping.dismiss_scaler("x", staff)
    assert len(scaler_cards()) == 1


def test_a_dismissed_one_that_comes_back_is_listed_again(staff: Any, scaler: Scaler) -> None:
    aged(scaler, 60)
    stopping.dismiss_scaler(str(scaler.pk), staff)
    scaler_rows.report(scaler, [], 0, "Holds: 0 wait.")
    assert not scaler_cards()[0].is_silent

from __future__ import annotations

from typing import Any

import pytest

from predictions import recovery
from predictions.model_cards import ModelCard
from predictions.models import Event, State
from predictions.vitals import vitals
from predictions.worker import micro_batch, part
from predictions.worker.runtime import models
from tests.predictions.jobs import claimed, claimed_chunk, lapse, now, submit_digit, submit_rows

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vitals, "name", "batch@frozen")
    monkeypatch.setattr(vitals, "fenced", 0)


def test_the_late_result_of_a_vector_is_refused_counted_and_told(user: Any, digits: ModelCard) -> None:
    late = claimed(submit_digit(user, digits))
    lapse(late.job)
    recovery.reap()
    claimed(late.job, "realtime@other")
    micro_batch.score([late], {late.job_id: list(digits.examples[3]["vector"])}, models.get(digits.ref))
    assert (vitals.fenced, now(late.job).state) == (1, State.RUNNING)
    assert (
        Event.objects.filter(attempt=1).last().text  # type: ignore[union-attr]
        == "batch@frozen came back with attempt 1 after it had been taken from it; its result was refused"
    )


def test_the_late_result_of_a_part_is_refused_counted_and_told(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=4)
    late = claimed_chunk(job)
    lapse(job)
    recovery.reap()
    assert part.work_on(late, models.get(digits.ref)) is None
    assert (vitals.fenced, now(job).done) == (1, 0)
    assert "came back with attempt 1 at part 1 after" in Event.objects.last().text  # type: ignore[union-attr]


def test_a_part_whose_job_ended_meanwhile_is_no_late_result(user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=4)
    claim = claimed_chunk(job)
    job.__class__.objects.filter(pk=job.pk).update(state=State.FAILED)
    assert part.work_on(claim, models.get(digits.ref)) == State.FAILED
    assert vitals.fenced == 0 and not Event.objects.exists()

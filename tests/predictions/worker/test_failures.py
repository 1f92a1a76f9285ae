"""What each kind of error means for a job: a table."""

from __future__ import annotations

import errno
from typing import Any

import pytest
import torch

from predictions.errors import InvalidInput, NonFiniteOutput
from predictions.model_cards import ModelCard
from predictions.models import Event, State
from predictions.worker import failures
from tests.predictions.jobs import claimed, now, submit_digit

pytestmark = pytest.mark.django_db

TABLE = [
    (InvalidInput("Row 3 has 5 values."), "invalid_input", False),
    (NonFiniteOutput("The output is not finite."), "non_finite_output", False),
    (RuntimeError("CUDA error: device-side assert"), "device_error", True),
    (torch.OutOfMemoryError("CUDA out of memory."), "device_error", True),
    (MemoryError(), "device_error", True),
    (OSError(errno.ENOSPC, "No space left on device"), "storage_error", True),
    (OSError(errno.EIO, "Input/output error"), "storage_error", True),
    (KeyError("digit"), "worker_error", False),
    (NotImplementedError("a fault of our own"), "worker_error", False),
]


@pytest.mark.parametrize(("error", "code", "is_retried"), TABLE)
def test_an_error_has_its_code_and_is_retried_or_not(
    user: Any, digits: ModelCard, error: Exception, code: str, is_retried: bool
) -> None:
    job = claimed(submit_digit(user, digits))
    assert (failures.ending_of(error).error or {})["code"] == code
    assert failures.may_retry(job, error) == is_retried
    assert now(job.job).state == (State.QUEUED if is_retried else State.RUNNING)
    assert [type(error).__name__ in event.text for event in Event.objects.all()] == [True] * is_retried


def test_a_vector_is_tried_again_after_5_and_10_seconds_and_then_no_more(user: Any, digits: ModelCard) -> None:
    job, waits = submit_digit(user, digits), list[str]()
    for _ in range(3):
        type(job).objects.update(run_after=0.0)
        failures.may_retry(claimed(job), MemoryError())
        waits = [event.text.rpartition("again in ")[2] for event in Event.objects.order_by("pk")]
    assert (waits, now(job).state) == (["5 s", "10 s"], State.RUNNING)

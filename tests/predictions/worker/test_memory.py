"""Rows that do not fit into memory: halved, in order, and no fault of the job."""

from __future__ import annotations

import re
import resource
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from predictions import files
from predictions.model_cards import ModelCard
from predictions.models import Chunk, State
from predictions.worker.memory import GROWS_AFTER, is_out_of_memory
from predictions.worker.runtime import SLICE, Model, models
from predictions.worker.scoring import PASS_ROWS
from tests.predictions.jobs import now, submit_rows
from tests.predictions.worker.hungry_models import ROW_BYTES
from tests.processes import eventually

CPU = torch.device("cpu")


class Wall:
    """Takes `most` rows at once; the class of a row is its first value."""

    def __init__(self, most: int, error: Exception) -> None:
        self.most, self.error, self.passes = most, error, list[int]()

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        self.passes.append(len(rows))
        if len(rows) > self.most:
            raise self.error
        return torch.nn.functional.one_hot(rows[:, 0].long(), 10).float() * 50


def rows(n: int) -> np.ndarray:
    x = np.zeros((n, 64), dtype=np.float32)
    x[:, 0] = np.arange(n) % 10
    return x


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: 12"),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_what_does_not_fit_is_halved_and_the_order_stays(digits: ModelCard, error: Exception) -> None:
    wall = Wall(100, error)
    probabilities = Model(digits, wall, CPU).probabilities(rows(5000))
    assert (probabilities.argmax(axis=1) == np.arange(5000) % 10).all()
    assert wall.passes[:7] == [4096, 2048, 1024, 512, 256, 128, 64]


def test_the_size_that_fitted_is_remembered_and_grows_again(digits: ModelCard) -> None:
    wall = Wall(SLICE // 2, ERRORS[0])
    model = Model(digits, wall, CPU)
    model.probabilities(rows(SLICE))
    wall.passes.clear()
    model.probabilities(rows(SLICE))
    assert wall.passes == [SLICE // 2] * 2
    wall.most = SLICE
    model.probabilities(rows(SLICE // 2 * GROWS_AFTER))
    assert wall.passes[-1] == SLICE


def test_one_row_that_does_not_fit_is_an_error(digits: ModelCard) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        Model(digits, Wall(0, ERRORS[0]), CPU).probabilities(rows(4))


def test_any_other_error_is_not_tried_in_halves(digits: ModelCard) -> None:
    wall = Wall(100, RuntimeError("CUDA error: device-side assert triggered"))
    with pytest.raises(RuntimeError, match="device-side"):
        Model(digits, wall, CPU).probabilities(rows(200))
    assert wall.passes == [200]


def test_torch_itself_is_understood() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60)
    assert is_out_of_memory(caught.value)


@pytest.mark.django_db(transaction=True)
@pytest.mark.long
def test_a_worker_short_of_memory_scores_its_batch_in_smaller_slices(
    a_worker: Any, steward: Any, user: Any, digits: ModelCard
) -> None:
    worker = a_worker("batch", app="tests.predictions.worker.hungry_models")
    size = _mapped_bytes(worker) + PASS_ROWS * ROW_BYTES // 3
    resource.prlimit(worker.pid, resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
    job = submit_rows(user, digits, rows=10_000)
    assert eventually(lambda: now(job).has_ended, 40)
    assert (now(job).state, now(job).retries, now(job).crashes) == (State.SUCCEEDED, 0, 0)
    lines = files.read(files.result_key(job.pk, 0, Chunk.objects.get().result_attempt or 0)).splitlines()
    expected = models.get(digits.ref).probabilities(
        np.array([digits.examples[n % 10]["vector"] for n in range(10_000)], dtype=np.float32)
    )
    assert [int(line.split(b",")[1]) for line in lines] == expected.argmax(axis=1).tolist()
    assert "rows do not fit into memory" in _log_of(worker)


def _mapped_bytes(worker: subprocess.Popen[bytes]) -> int:
    said = re.search(r"VmSize:\s+(\d+) kB", Path(f"/proc/{worker.pid}/status").read_text())
    assert said
    return int(said[1]) * 1024


def _log_of(worker: subprocess.Popen[bytes]) -> str:
    return Path(f"/proc/{worker.pid}/fd/1").resolve().read_text(errors="replace")

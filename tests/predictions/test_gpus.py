"""There is no GPU here: NVIDIA's library is stood in for, at this edge alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from predictions import gpus
from predictions.gpus import GpuUse, use_of

UUID = "GPU-5f2b7a2e-0000-1111-2222-333344445555"


class NVMLError(Exception):
    pass


class Library:
    """What of pynvml is called, for one GPU. used: bytes by process."""

    NVMLError = NVMLError

    def __init__(self, used: dict[int, int | None], percent: int = 0) -> None:
        self._used, self._percent = used, percent
        self.begun = 0

    def nvmlInit(self) -> None:  # noqa: N802
        self.begun += 1

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        if uuid != UUID:
            raise NVMLError("Not Found")
        return uuid

    def nvmlDeviceGetUtilizationRates(self, handle: str) -> Any:  # noqa: N802
        return SimpleNamespace(gpu=self._percent)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: str) -> list[Any]:  # noqa: N802
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in self._used.items()]


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    gpus._library.cache_clear()
    yield
    gpus._library.cache_clear()


def stand_in(monkeypatch: pytest.MonkeyPatch, library: object) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", library)


def test_memory_is_this_processs_own_and_use_the_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, Library({os.getpid(): 700, 1: 9_000}, percent=41))
    assert use_of(UUID) == GpuUse(700, 41.0)


def test_in_a_container_the_only_process_on_the_gpu_is_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, Library({1: 9_000}))
    assert use_of(UUID).memory_bytes == 9_000


def test_of_several_strangers_nobody_knows_which_is_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, Library({1: 9_000, 2: 700}))
    assert use_of(UUID) == GpuUse(None, 0.0)


def test_what_cannot_be_asked_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, Library({}))
    assert use_of("GPU-another") == GpuUse()


def test_the_library_is_made_ready_once(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library({})
    stand_in(monkeypatch, library)
    use_of(UUID)
    use_of(UUID)
    assert library.begun == 1


def test_without_a_gpu_the_library_is_not_even_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library({})
    stand_in(monkeypatch, library)
    assert use_of("") == GpuUse() and library.begun == 0


def test_without_a_driver_the_use_is_unknown_and_nothing_fails() -> None:
    assert use_of(UUID) == GpuUse()

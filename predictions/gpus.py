"""What NVIDIA's library says of the GPU that a process uses; it is loaded where there is one, and nowhere else."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

log = logging.getLogger(__name__)
LIBRARY = "pynvml"


@dataclass(frozen=True)
class GpuUse:
    """memory_bytes: of this process, None where the driver does not tell it apart; percent: of the whole GPU's time."""

    memory_bytes: int | None = None
    percent: float | None = None


def use_of(gpu: str) -> GpuUse:
    """gpu: its UUID, empty where there is none. What cannot be asked is unknown, never 0."""
    if not gpu or (library := _library()) is None:
        return GpuUse()
    try:
        handle = library.nvmlDeviceGetHandleByUUID(gpu)
        return GpuUse(_memory_bytes(library, handle), float(library.nvmlDeviceGetUtilizationRates(handle).gpu))
    except library.NVMLError as error:
        log.warning("The GPU %s could not be asked: %s", gpu, error)
        return GpuUse()


def _memory_bytes(library: Any, handle: Any) -> int | None:
    """Where a container hides the process's number, the only process on the GPU is this one."""
    used = {each.pid: each.usedGpuMemory for each in library.nvmlDeviceGetComputeRunningProcesses(handle)}
    mine = used.get(os.getpid())
    return next(iter(used.values())) if mine is None and len(used) == 1 else mine


@cache
def _library() -> Any:
    """Ready to be asked, or None for this process's life: no library, no driver."""
    try:
        library = import_module(LIBRARY)
        library.nvmlInit()
    except Exception as error:  # a driver may fail in any way; the work does not need it
        log.warning("The GPU's use is unknown: %s", error)
        return None
    return library


os.register_at_fork(after_in_child=_library.cache_clear)

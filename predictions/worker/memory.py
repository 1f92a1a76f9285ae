"""How many rows fit into the memory of the device at once: halved where they do not, doubled again after a while."""

from __future__ import annotations

import logging

import torch

log = logging.getLogger(__name__)
GROWS_AFTER = 64
"""Full slices that fitted before twice as many rows are tried: a wall costs one pass in 64 at most."""
WORDS = ("can't allocate memory", "cannot allocate memory", "not enough memory", "out of memory", "alloc_failed")


def is_out_of_memory(error: BaseException) -> bool:
    """torch says it by a type of its own on CUDA, and by a plain RuntimeError on the CPU; numpy by MemoryError."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in WORDS)


def give_back(device: torch.device) -> None:
    """What torch keeps for later is in the way now."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


class Room:
    """rows: how many go through at once. One for each model, since each needs memory of its own."""

    def __init__(self, ref: str, most: int) -> None:
        self.rows = most
        self._ref = ref
        self._most = most
        self._fitted = 0

    def halve(self, n: int) -> None:
        """n rows did not fit."""
        self.rows, self._fitted = n // 2, 0
        log.warning("%s: %d rows do not fit into memory; %d at once from now on", self._ref, n, self.rows)

    def fitted(self, n: int) -> None:
        if n < self.rows or self.rows == self._most:
            return
        self._fitted += 1
        if self._fitted == GROWS_AFTER:
            self.rows, self._fitted = min(self._most, self.rows * 2), 0

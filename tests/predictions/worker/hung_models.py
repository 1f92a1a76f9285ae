"""The product's Celery app with a model that hangs: it holds the interpreter when a vector begins with HANGS,
and lets other threads run when one begins with WAITS.

Started as `celery -A tests.predictions.worker.hung_models`; a stranger's module could do the same.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch
from celery.signals import worker_process_init

from inference_site.celery import app

HANGS, WAITS = 13.0, 14.0

__all__ = ["app"]


@worker_process_init.connect
def open_models_that_hang(**_: object) -> None:
    from predictions.worker.runtime import OPENERS, Module  # Django must be ready first

    whole = OPENERS[".pt2"]

    def opened(path: Path, where: torch.device) -> Module:
        module = whole(path, where)

        def forward(rows: torch.Tensor) -> torch.Tensor:
            if HANGS in rows[:, 0]:
                sum(range(10**15))  # a loop in C: no other thread, and no signal's handler, gets a turn
            if WAITS in rows[:, 0]:
                time.sleep(3600)
            return module(rows)

        return forward

    OPENERS[".pt2"] = opened

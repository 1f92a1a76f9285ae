"""The product's Celery app with a model that hangs: it holds the interpreter when a vector begins with HANGS.

Started as `celery -A tests.predictions.worker.hung_models`; a stranger's module could do the same.
"""

from __future__ import annotations

from pathlib import Path

import torch
from celery.signals import worker_process_init

from inference_site.celery import app

HANGS = 13.0

__all__ = ["app"]


@worker_process_init.connect
def open_models_that_hang(**_: object) -> None:
    from predictions.worker.runtime import OPENERS, Module  # Django must be ready first

    whole = OPENERS[".pt2"]

    def opened(path: Path, where: torch.device) -> Module:
        module = whole(path, where)

        def forward(rows: torch.Tensor) -> torch.Tensor:
            if float(rows[0, 0]) == HANGS:
                sum(range(10**15))  # a loop in C: no other thread, and no signal's handler, gets a turn
            return module(rows)

        return forward

    OPENERS[".pt2"] = opened

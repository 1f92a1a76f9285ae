"""The product's Celery app with a model that needs 4 MiB for each row of a pass.

Started as `celery -A tests.predictions.worker.hungry_models`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from celery.signals import worker_process_init

from inference_site.celery import app

ROW_BYTES = 1 << 22

__all__ = ["app"]


@worker_process_init.connect
def open_models_that_are_hungry(**_: object) -> None:
    from predictions.worker.runtime import OPENERS, Module  # Django must be ready first

    whole = OPENERS[".pt2"]

    def opened(path: Path, where: torch.device) -> Module:
        module = whole(path, where)

        def forward(rows: torch.Tensor) -> torch.Tensor:
            torch.empty(len(rows) * ROW_BYTES, dtype=torch.uint8)
            return module(rows)

        return forward

    OPENERS[".pt2"] = opened

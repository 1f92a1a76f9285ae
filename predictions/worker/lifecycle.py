"""A worker process's own life: the model it loads at its start, and what happens while it has none."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from celery.signals import worker_process_init, worker_shutting_down

from predictions import recovery
from predictions.errors import ModelRefused
from predictions.vitals import vitals
from predictions.worker.beat import beat
from predictions.worker.runtime import Model, gpu, models

log = logging.getLogger(__name__)
TRY_AGAIN_S = 5.0
_mending = threading.Lock()


@worker_process_init.connect
def begin(**_: Any) -> None:
    """Once a process, under solo and prefork alike: beat, and load the default model."""
    beat.start()
    if load() is None:
        _keep_trying(None)


@worker_shutting_down.connect
def stop(**_: Any) -> None:
    vitals.stopping = True
    # In a thread: this runs inside a handler of a signal, which may have come while the same thread held the event's lock.
    threading.Thread(target=vitals.changed.set).start()


def load(ref: str | None = None) -> Model | None:
    """The model, or None with its sentence in the vitals."""
    if ref and ref not in models.refs() and vitals.model_state == "ready":
        vitals.model_state = "loading"  # nothing can be scored meanwhile
        vitals.changed.set()
    try:
        model = models.get(ref)
    except ModelRefused as refused:
        vitals.model_state, vitals.model_error = "failed", str(refused)
        log.error("%s", refused)
        return None
    if vitals.model_state != "ready":
        vitals.changed.set()
    vitals.device, vitals.model, vitals.model_state, vitals.model_error = model.device, model.card.ref, "ready", ""
    vitals.gpu = gpu()
    return model


def _keep_trying(ref: str | None) -> None:
    """Until it loads, without a job that asks for it; one thread a process."""
    if _mending.acquire(blocking=False):
        threading.Thread(target=_load_when_mended, args=(ref,), name="model", daemon=True).start()


def _load_when_mended(ref: str | None) -> None:
    try:
        while vitals.model_state == "failed":
            time.sleep(TRY_AGAIN_S)
            load(ref)
    finally:
        _mending.release()


def model_or_postpone(ref: str, job_ids: Iterable[UUID]) -> Model | None:
    """The model of messages; where it cannot be used their jobs stay queued and are published again later."""
    model = load(ref)
    if model is None:
        _keep_trying(ref)
        for job_id in job_ids:
            recovery.postpone(job_id, TRY_AGAIN_S)
    return model

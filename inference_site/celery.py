"""The Celery app; its settings stand in settings.py, its tasks in predictions/worker/tasks.py."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import django
from celery import Celery
from celery.signals import celeryd_init, import_modules
from kombu.transport.redis import Channel

from predictions.queues import TRANSPORT_BANDS

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inference_site.settings")

# Without Celery's fixup for Django: it closes the database's connection around each task, which costs more than the task (facts 14).
app = Celery("inference_site", fixups=[])
app.config_from_object("django.conf:settings", namespace="CELERY")
# current_app is thread-local; without this AsyncResult(id) fails in every thread but one (facts 49).
app.set_default()
# kombu allows ten bands: it would put a message of a lower one that it gives back, say at a worker's end, before more urgent ones.
Channel.max_priority = TRANSPORT_BANDS[-1]


@import_modules.connect  # type: ignore[untyped-decorator]
def set_up_django(**_: Any) -> None:
    """Before the tasks are imported."""
    django.setup()


@celeryd_init.connect  # type: ignore[untyped-decorator]
def begin_to_report(sender: str, **_: Any) -> None:
    """A worker shows itself before it imports torch. Only here is Django ready and is this surely a worker."""
    django.setup()
    import_module("workers_admin.heartbeats").on_init(sender)

"""The worker without one of its safeties, which WITHOUT names, to be measured against. Never for use."""

from __future__ import annotations

import os
from typing import Any

from celery.signals import celeryd_after_setup
from django.db.backends.signals import connection_created
from django.dispatch import receiver

from inference_site.celery import app

__all__ = ["app"]

CLAIM = "SET state = 'running'"
END = "ELSE 'succeeded' END"
CLAIMED = "id, attempt, queue, owner_id, version, store, created, started"
RESULT = "INSERT INTO django_celery_results_taskresult"


def unclaimed(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    """Whoever has the message works on it: the job is read and ended, and nobody is kept from ending it again."""
    if CLAIM in sql:
        ids = params[2:]
        return execute(
            f"SELECT {CLAIMED} FROM predictions_job WHERE id IN ({', '.join(['%s'] * len(ids))})", ids, many, context
        )
    return execute(sql.replace("AND state = 'running'", "") if END in sql else sql, params, many, context)


def without_history(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    """No TaskResult rows: the prediction is nowhere but in the hint."""
    return None if RESULT in sql else execute(sql, params, many, context)


WRAPPERS = {"claim": unclaimed, "history": without_history}


@receiver(connection_created)
def wrap(connection: Any, **_: Any) -> None:
    if wrapper := WRAPPERS.get(os.environ["WITHOUT"]):
        connection.execute_wrappers.append(wrapper)


@celeryd_after_setup.connect  # type: ignore[untyped-decorator]
def strip(**_: Any) -> None:
    from predictions.live import say
    from predictions.worker.beat import beat

    without = os.environ["WITHOUT"]
    if without == "lease":
        beat.hold = beat.drop = lambda *_: None  # type: ignore[method-assign]
    if without == "hub":
        say.news = lambda rows: None
        say.jobs_changed = lambda ids: None

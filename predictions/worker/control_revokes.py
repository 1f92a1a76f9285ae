"""A message that Celery throws away because of `control.revoke` revokes its job, or the steward would send it for ever."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery.signals import task_revoked
from django.db import close_old_connections

from predictions import dispatch, revocation


@task_revoked.connect
def on_revoked(sender: Any, request: Any, **_: Any) -> None:
    """In the process that takes the messages: the worker under solo, the parent under prefork.

    The message is acknowledged. Where the database is away now, the steward sends another, which comes here again.
    """
    if sender.name in {dispatch.PREDICT, dispatch.SCORE_CHUNK}:
        close_old_connections()
        try:
            revocation.revoke_by_celery(UUID(request.root_id or request.id))
        finally:
            close_old_connections()

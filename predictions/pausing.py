"""Pausing and resuming a queue. What waits stays accepted and begins only after the resume; what runs ends as usual."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import OperationalError, connection, transaction

from predictions import audit
from predictions.audit import Audit
from predictions.clock import Clock
from predictions.confirmations import REFUSED
from predictions.errors import NotFound, WrongState
from predictions.live import say
from predictions.models import OPEN, Chunk, Export, Job, Kind, State
from predictions.pauses import Pause
from predictions.queues import DEFAULT, QUEUES
from predictions.row_locks import in_id_order

CLAIMS_END_WITHIN_S = 2
HELD = "A transaction in the database does not end, so a claim may be under way. Nothing was changed; try again."


def pause(queue: str, by: Any, address: str | None = None) -> None:
    """No job of the queue begins once this has returned. Raises NotFound, WrongState."""
    _demand_known(queue)
    with transaction.atomic():
        entry = _note(by, "pause queue", queue, address, was=False)
        if not Pause.objects.get_or_create(queue=queue, defaults={"by_name": entry.who_name})[1]:
            raise WrongState(f"{queue} is paused already.")
        _wait_for_claims(queue)
    say.workers_changed()


def resume(queue: str, by: Any, address: str | None = None) -> None:
    """What was refused meanwhile is due, so the steward publishes it within a second. Raises NotFound, WrongState."""
    _demand_known(queue)
    with transaction.atomic():
        if not Pause.objects.filter(pk=queue).delete()[0]:
            raise WrongState(f"{queue} is not paused.")
        _note(by, "resume queue", queue, address, was=True)
    say.workers_changed()


def put_back_jobs(job_ids: Iterable[UUID]) -> bool:
    """Their messages were taken, and a pause refused the claims: they are due again, once the queue is resumed.

    False where none of them waits: others have them, or they have ended.
    """
    waiting = Job.objects.filter(kind=Kind.REALTIME, state=State.QUEUED, revoke_requested=False, run_after__lte=Clock())
    refused = waiting.filter(pk__in=list(job_ids))
    if not refused.exists():
        return False
    with transaction.atomic():
        return bool(in_id_order(refused).update(publish_at=REFUSED))


def put_back_chunk(chunk_id: int, attempt: int) -> bool:
    """The same for a part of a batch."""
    going_on = Job.objects.filter(state__in=OPEN, revoke_requested=False, run_after__lte=Clock())
    awaited = Chunk.objects.filter(pk=chunk_id, attempt=attempt, state=Chunk.State.RESERVED)
    return bool(awaited.filter(job_id__in=going_on.values("pk")).update(publish_at=REFUSED))


def put_back_export(export_id: int, attempt: int) -> bool:
    """The same for a file to be made."""
    awaited = Export.objects.filter(pk=export_id, attempt=attempt, state=Export.State.QUEUED)
    return bool(awaited.filter(job__expires__isnull=False).update(publish_at=REFUSED))


def _demand_known(queue: str) -> None:
    if queue not in QUEUES:
        raise NotFound(f"There is no queue '{queue}'; there are {', '.join(QUEUES)}.")


def _wait_for_claims(queue: str) -> None:
    """A claim that began before our commit does not see the pause; it has to end before we answer.

    Claims write to this table: the lock is ours when they have ended, and who comes later looks after our commit. One table,
    since with two others that lock them the other way round would wait for us and we for them. SQLite has one writer, so
    there our own transaction is that lock.
    """
    table = "predictions_export" if queue == DEFAULT else "predictions_job"
    if not connection.features.has_select_for_update:
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{CLAIMS_END_WITHIN_S}s'")
            cursor.execute(f"LOCK TABLE {table} IN SHARE MODE")
            cursor.execute("SET LOCAL lock_timeout = DEFAULT")
    except OperationalError as error:
        raise WrongState(HELD) from error


def _note(by: Any, action: str, queue: str, address: str | None, was: bool) -> Audit:
    outcome = "resumed" if was else "paused"
    return audit.write(by, action, f"queue {queue}", outcome, address, {"paused": was}, {"paused": not was})

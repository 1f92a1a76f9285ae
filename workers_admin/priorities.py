"""Raises or lowers the priority of a queued job: its row, and its message, which goes into the new band."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import redis
from django.db import transaction

from predictions import audit, dispatch
from predictions.clock import Clock
from predictions.errors import InvalidInput, Refused, WrongState
from predictions.live import say
from predictions.models import Chunk, Job, Kind, State
from predictions.queues import MOST_URGENT, PRIORITIES
from workers_admin.messages import remove_of_job


def change_many(jobs: Iterable[Job], priority: str, by: Any, address: str | None = None) -> str:
    """How many have it now, and why others do not. Raises Refused where none has."""
    wanted, refusals, number = _read(priority), dict[str, None](), 0
    for job in jobs:
        try:
            change(job, wanted, by, address)
            number += 1
        except Refused as refused:
            refusals[refused.detail] = None
    if not number:
        raise WrongState(" ".join(refusals) or "No job was selected.")
    return " ".join([f"{number:,} {'job has' if number == 1 else 'jobs have'} priority {wanted} now.", *refusals])


def _read(text: str) -> int:
    if not (text.isdecimal() and int(text) in PRIORITIES):
        raise InvalidInput(f"'{text}' is no priority; 0 to {MOST_URGENT} are, and {MOST_URGENT} goes first.")
    return int(text)


def change(job: Job, priority: int, by: Any, address: str | None = None) -> None:
    """Raises WrongState where a worker was quicker. The message of before leaves Redis; one that a worker holds is as good."""
    with transaction.atomic():
        was = Job.objects.select_for_update().get(pk=job.pk)
        _demand_change(was, priority)
        due = Clock() + dispatch.STEWARD_AFTER_S
        changes = {"priority": priority} | ({"publish_at": due} if was.kind == Kind.REALTIME else {})
        Job.objects.filter(pk=job.pk, state=State.QUEUED).change(**changes)
        Chunk.objects.filter(job=was, state=Chunk.State.RESERVED).update(publish_at=due)
        outcome = f"{was.priority} → {priority}"
        before, after = {"priority": was.priority}, {"priority": priority}
        audit.write(by, "change priority", f"job {job.pk}", outcome, address, before, after)
        transaction.on_commit(lambda: _send_anew(was), robust=True)
    say.jobs_changed([job.pk])


def _demand_change(job: Job, priority: int) -> None:
    if job.state != State.QUEUED:
        raise WrongState(f"Job {str(job.pk)[-8:]} is {job.status}; only a queued job's priority can be changed.")
    if job.priority == priority:
        raise WrongState(f"Job {str(job.pk)[-8:]} has priority {priority} already.")


def _send_anew(was: Job) -> None:
    """The old message goes first, or a job that was lowered would be taken by it. The row is due should this end here."""
    with suppress(redis.RedisError):
        remove_of_job(was)
    now = Job.objects.get(pk=was.pk)
    if now.kind == Kind.REALTIME:
        dispatch.publish_soon([dispatch.for_job(now)])
    else:
        reserved = Chunk.objects.filter(job=now, state=Chunk.State.RESERVED)
        dispatch.publish_soon([dispatch.for_chunk(now, chunk) for chunk in reserved])

"""What a person may do with a stored result: keep it past its time, let it go, or remove it now."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from predictions import audit, expiry
from predictions.errors import WrongState
from predictions.live import say
from predictions.models import Job


def keep(job: Job, by: Any, address: str | None = None) -> None:
    """Raises WrongState where there is no result any more."""
    _mark(job, True, by, "keep result", "kept", address)


def let_expire(job: Job, by: Any, address: str | None = None) -> None:
    """Raises WrongState where there is no result any more."""
    _mark(job, False, by, "let result expire", "expires as planned", address)


def _mark(job: Job, kept: bool, by: Any, action: str, outcome: str, address: str | None) -> None:
    with transaction.atomic():
        if not Job.objects.filter(pk=job.pk, expires__isnull=False).change(kept=kept):
            raise _nothing_kept(job)
        audit.write(by, action, f"job {job.pk}", outcome, address)
    say.jobs_changed([job.pk])


def remove_now(job: Job, by: Any, address: str | None = None) -> None:
    """The job stays, as `expired` if it had succeeded. Raises WrongState where there is no result any more."""
    with transaction.atomic():
        if not expiry.expire(job):
            raise _nothing_kept(job)
        Job.objects.filter(pk=job.pk).update(kept=False)
        freed = Job.objects.values_list("freed_bytes", flat=True).get(pk=job.pk)
        audit.write(by, "remove result", f"job {job.pk}", f"removed, {freed:,} bytes freed", address)


def _nothing_kept(job: Job) -> WrongState:
    return WrongState(f"The job is {job.status} and has no stored result.")

"""What a person may do with stored results: keep them past their time, let them go, or remove them now; one or many in one act."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import transaction

from predictions import audit, expiry
from predictions.errors import WrongState
from predictions.live import say
from predictions.models import Job, JobQuerySet, Kind, note_each

GONE = "had no stored result"


def keep(jobs: Sequence[Job], by: Any, address: str | None = None) -> str:
    """What was done, in a sentence. Raises WrongState where none has a result any more."""
    return _mark(jobs, True, by, "keep result", "kept", address)


def let_expire(jobs: Sequence[Job], by: Any, address: str | None = None) -> str:
    """What was done, in a sentence. Raises WrongState where none has a result any more."""
    return _mark(jobs, False, by, "let result expire", "expires as planned", address)


def remove_now(jobs: Sequence[Job], by: Any, address: str | None = None) -> str:
    """The jobs stay, as `expired` if they had succeeded. Raises WrongState where none has a result any more."""
    with transaction.atomic():
        held = _held(jobs)
        _demand_some(jobs, held)
        freed = sum(expiry.expire_many(held).values())
        note_each([job for job in jobs if job.pk in held], _noted(by, len(held)))
        done = f"removed, {freed:,} bytes freed"
        _write(by, "remove result", jobs, held, done, address, {"result": "stored"}, {"result": None, "freed": freed})
    files = ", those of files in an hour" if any(job.kind == Kind.BATCH for job in jobs) else ""
    return _told(jobs, held, "removed", f" {freed:,} bytes were freed{files}.")


def _noted(by: Any, number: int) -> str:
    """For the timeline of each, since the audit has one entry for all of them."""
    return f"Result removed by {audit.name_of(by)}{f', one of {number:,}' if number > 1 else ''}"


def _mark(jobs: Sequence[Job], kept: bool, by: Any, action: str, outcome: str, address: str | None) -> str:
    with transaction.atomic():
        held = _held(jobs)
        _demand_some(jobs, held)
        were = Job.objects.filter(pk__in=held, kept=True).count()
        Job.objects.filter(pk__in=held).change(kept=kept)
        _write(by, action, jobs, held, outcome, address, {"kept": were}, {"kept": len(held) if kept else 0})
    say.jobs_changed(held)
    return _told(jobs, held, "kept" if kept else "will expire as planned")


def _held(jobs: Sequence[Job]) -> list[UUID]:
    """Those that have a result. Their rows are locked, so that none expires meanwhile."""
    stored: JobQuerySet = Job.objects.filter(pk__in=[job.pk for job in jobs], expires__isnull=False)
    return list(stored.select_for_update().order_by("pk").values_list("pk", flat=True))


def _demand_some(jobs: Sequence[Job], held: list[UUID]) -> None:
    if not held:
        one = f"The job is {jobs[0].status} and has" if len(jobs) == 1 else f"None of the {len(jobs):,} jobs has"
        raise WrongState(f"{one} no stored result." if len(jobs) == 1 else f"{one} a stored result.")


def _write(
    by: Any,
    action: str,
    jobs: Sequence[Job],
    held: list[UUID],
    outcome: str,
    address: str | None,
    before: dict[str, Any],
    after: dict[str, Any],
) -> None:
    if len(jobs) == 1:
        subject = f"job {held[0]}"
    else:
        subject, outcome = f"{len(jobs):,} selected jobs", f"{len(held):,} {outcome}{_missing(jobs, held)}"
        before = before | {"jobs": [str(job_id) for job_id in held]}
    audit.write(by, action, subject, outcome, address, before, after)


def _told(jobs: Sequence[Job], held: list[UUID], done: str, more: str = "") -> str:
    return f"{len(held):,} {'result' if len(held) == 1 else 'results'} {done}{_missing(jobs, held)}.{more}"


def _missing(jobs: Sequence[Job], held: list[UUID]) -> str:
    missing = len(jobs) - len(held)
    return f", {missing:,} {GONE}" if missing else ""

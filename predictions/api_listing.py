"""One page of the API's list of jobs, newest first, by an opaque cursor."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q

from predictions import rights
from predictions.api_schemas import JobFilters
from predictions.bounded_looks import look
from predictions.errors import InvalidInput
from predictions.models import Job, JobQuerySet, first_id_at
from predictions.wanted_jobs import WantedJobs

# An id is made a moment before its job's `created` is noted.
SLACK = timedelta(seconds=5)
CHOSEN = {"status", "kind", "queue", "model", "q"}
EARLIEST = datetime(1971, 1, 1, tzinfo=UTC)


def page(user: Any, filters: JobFilters) -> tuple[list[Job], str | None]:
    """The jobs and the cursor of the next page. Page 5,000 costs what page 1 costs.

    It may hold fewer than were asked for, even none, and have a next one: a page looks at so many jobs and no more.
    """
    jobs, fits = _wanted(user, filters).found()
    before = None if filters.cursor is None else _id_of(filters.cursor)
    seen = look(jobs, fits & _created(filters), before, filters.limit)
    found = sorted(Job.objects.filter(pk__in=seen.keys), key=lambda job: job.pk, reverse=True)
    return found, None if seen.next is None else _cursor_of(seen.next)


def _wanted(user: Any, filters: JobFilters) -> WantedJobs:
    chosen = {name: given for name, given in filters.dict(include=CHOSEN).items() if given}
    return WantedJobs(chosen, None if rights.has(user, rights.SEE_ANY_JOB) else user.pk, _between(filters))


def _between(filters: JobFilters) -> JobQuerySet:
    """Somewhat more than were created then, as an index of ids finds them."""
    jobs = Job.objects.all()
    if filters.created_after:
        jobs = jobs.filter(pk__gte=first_id_at(_utc("created_after", filters.created_after) - SLACK))
    if filters.created_before:
        jobs = jobs.filter(pk__lt=first_id_at(_utc("created_before", filters.created_before)))
    return jobs


def _created(filters: JobFilters) -> Q:
    """From created_after on, up to but without created_before."""
    after, before = filters.created_after, filters.created_before
    since = Q(created__gte=_utc("created_after", after)) if after else Q()
    return since & Q(created__lt=_utc("created_before", before)) if before else since


def _utc(name: str, moment: datetime) -> datetime:
    """Nothing is older than the earliest that is asked for, and an id can hold no time before 1970."""
    try:
        return max(moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC), EARLIEST)
    except OverflowError:
        raise InvalidInput(f"{name} is out of range; a time between the years 1 and 9999 in UTC is allowed.") from None


def _cursor_of(job_id: UUID) -> str:
    return urlsafe_b64encode(job_id.bytes).rstrip(b"=").decode()


def _id_of(cursor: str) -> UUID:
    try:
        return UUID(bytes=urlsafe_b64decode(cursor.encode() + b"=="))
    except (binascii.Error, ValueError):
        raise InvalidInput(f"The cursor '{cursor[:40]}' is none that a list gave as `next`.") from None

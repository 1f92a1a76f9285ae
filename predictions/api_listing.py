"""One page of the API's list of jobs, newest first, by an opaque cursor."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db.models import Q

from predictions.api_schemas import JobFilters
from predictions.errors import InvalidInput
from predictions.job_list import text_matches
from predictions.models import Job, JobQuerySet, first_id_at

# An id is made a moment before its job's `created` is noted.
SLACK = timedelta(seconds=5)
EARLIEST = datetime(1971, 1, 1, tzinfo=UTC)


def page(user: object, filters: JobFilters) -> tuple[list[Job], str | None]:
    """The jobs and the cursor of the next page. Page 5,000 costs what page 1 costs."""
    jobs = _filtered(Job.objects.of(user), filters).order_by("-pk")
    if filters.cursor is not None:
        jobs = jobs.filter(pk__lt=_id_of(filters.cursor))
    found = list(jobs[: filters.limit + 1])
    shown = found[: filters.limit]
    return shown, _cursor_of(shown[-1].pk) if len(found) > filters.limit else None


def _filtered(jobs: JobQuerySet, filters: JobFilters) -> JobQuerySet:
    exact = filters.dict(include={"kind", "queue"}, exclude_none=True)
    jobs = jobs.with_status(filters.status) if filters.status else jobs
    jobs = jobs.filter(**exact)
    if filters.model:
        jobs = jobs.filter(Q(model=filters.model) | Q(model__startswith=f"{filters.model}@"))
    if filters.q:
        jobs = jobs.filter(text_matches(filters.q))
    return _between(jobs, filters)


def _between(jobs: JobQuerySet, filters: JobFilters) -> JobQuerySet:
    """From created_after on, up to but without created_before. The bounds by id let an index find them."""
    if filters.created_after:
        after = _utc("created_after", filters.created_after)
        jobs = jobs.filter(created__gte=after, pk__gte=first_id_at(after - SLACK))
    if filters.created_before:
        before = _utc("created_before", filters.created_before)
        jobs = jobs.filter(created__lt=before, pk__lt=first_id_at(before))
    return jobs


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

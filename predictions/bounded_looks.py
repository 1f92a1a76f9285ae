"""Looks through jobs from the newest on, so many and no more, and says where to look further."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q

from predictions.models import Job, JobQuerySet

LOOKED_AT = 20_000


@dataclass(frozen=True)
class Look:
    """jobs: those that fit. next: the key before which the next look begins; None: there is nothing older.

    stopped: it looked at as many as it may before the page was full.
    """

    jobs: list[Job]
    next: UUID | None
    stopped: bool


def look(jobs: JobQuerySet, fits: Q, before: UUID | None, page: int) -> Look:
    """jobs: what an index finds in the order of keys, of which the newest 20,000 are looked at; fits: what is asked of each."""
    keys = (jobs.filter(pk__lt=before) if before else jobs).order_by("-pk").values_list("pk", flat=True)
    edge = list(keys[LOOKED_AT - 1 : LOOKED_AT + 1]) if fits else []
    within = keys.filter(fits, pk__gte=edge[0]) if edge else keys.filter(fits)
    # Keys first: where an index holds all that is asked, no row is read but those that fit.
    found = list(within[: page + 1])
    rows = list(jobs.model.objects.filter(pk__in=found[:page]))
    if len(found) > page:
        return Look(rows[:page], rows[page - 1].pk, stopped=False)
    has_more = len(edge) == 2
    return Look(rows, edge[0] if has_more else None, stopped=has_more)

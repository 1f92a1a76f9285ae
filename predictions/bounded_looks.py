"""Looks through jobs from the newest on, so many and no more, and says where to look further."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q

from predictions.models import JobQuerySet

LOOKED_AT = 20_000


@dataclass(frozen=True)
class Look:
    """keys: of the jobs that fit. next: the key before which the next look begins; None: there is nothing older.

    stopped: it looked at as many as it may before the page was full.
    """

    keys: list[UUID]
    next: UUID | None = None
    stopped: bool = False


def look(jobs: JobQuerySet, fits: Q, before: UUID | None, page: int) -> Look:
    """jobs: what an index finds in the order of keys, of which the newest 20,000 are looked at; fits: what is asked of each.

    Keys alone: where an index holds all that is asked, no row is read.
    """
    keys = (jobs.filter(pk__lt=before) if before else jobs).order_by("-pk").values_list("pk", flat=True)
    edge = list(keys[LOOKED_AT - 1 : LOOKED_AT + 1]) if fits else []
    found = list((keys.filter(fits, pk__gte=edge[0]) if edge else keys.filter(fits))[: page + 1])
    if len(found) > page:
        return Look(found[:page], next=found[page - 1])
    return Look(found, next=edge[0], stopped=True) if len(edge) == 2 else Look(found)

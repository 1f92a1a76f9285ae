"""Which jobs somebody asks for: what an index finds of them in the order of keys, and what is asked of each of these."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import ExpressionWrapper, F, IntegerField, Q

from predictions.models import OPEN, REVOKING, JobQuerySet, State

STATUSES = (State.QUEUED, State.RUNNING, REVOKING, State.SUCCEEDED, State.FAILED, State.REVOKED, State.EXPIRED)
OF_STATUS = {status: Q(state=status) for status in STATUSES} | {
    State.RUNNING: Q(state=State.RUNNING, revoke_requested=False),
    REVOKING: Q(state=State.RUNNING, revoke_requested=True),
}
HEX = re.compile(r"[0-9a-f]{4,32}")


@dataclass(frozen=True)
class WantedJobs:
    """chosen: `status`, `kind`, `queue`, `model` and `q`, each where it was given. owner_id: None, everybody's jobs.

    in_time: all jobs, or those between two ids.
    """

    chosen: Mapping[str, Any]
    owner_id: int | None
    in_time: JobQuerySet

    @property
    def scope(self) -> JobQuerySet:
        """What an index finds: whose jobs, and from when."""
        return self.in_time if self.owner_id is None else self.in_time.filter(owner=self.owner_id)

    def few(self, states: Iterable[str]) -> JobQuerySet:
        """The same of open jobs, by the index of states alone: they are few, and an owner's jobs may be very many."""
        return self._unowned.filter(self._owned, state__in=states)

    def found(self) -> tuple[JobQuerySet, Q]:
        """What an index finds in the order of keys, and what is asked of each of these."""
        status, model = self.chosen.get("status", ""), self.chosen.get("model", "")
        of_status = OF_STATUS.get(status, Q())
        if _whole_id(self.chosen.get("q", "")):
            return self.scope.filter(of_status, self.narrowed), Q()
        if status in (*OPEN, REVOKING):
            return self.few([State.RUNNING if status == REVOKING else status]).filter(of_status), self.narrowed
        if status == State.FAILED:  # of an owner too: those that failed are the few that are looked for
            return self._unowned.filter(of_status), self._owned & self.narrowed
        if status and self.owner_id is None:
            return self.scope.filter(of_status), self.narrowed
        if "@" in model and self.owner_id is None:
            return self.scope.filter(model=model), of_status & self.narrowed
        return self.scope, of_status & self.narrowed

    @property
    def _unowned(self) -> JobQuerySet:
        """No index finds an owner's there: a sum is in none."""
        return self.in_time.alias(owner_unindexed=ExpressionWrapper(F("owner_id") + 0, output_field=IntegerField()))

    @property
    def _owned(self) -> Q:
        """Asked of each of `_unowned`."""
        return Q() if self.owner_id is None else Q(owner_unindexed=self.owner_id)

    @property
    def narrowed(self) -> Q:
        """All that is asked but for the status."""
        chosen = self.chosen
        exact = Q(**{name: chosen[name] for name in ("kind", "queue") if name in chosen})
        model = Q(model=chosen["model"]) | Q(model__startswith=f"{chosen['model']}@") if "model" in chosen else Q()
        return exact & model & (_text_matches(chosen["q"]) if "q" in chosen else Q())


def _digits(words: str) -> str:
    """Of an id, or of a part of one; empty: they are none."""
    digits = words.replace("-", "").lower()
    return digits if HEX.fullmatch(digits) else ""


def _whole_id(words: str) -> UUID | None:
    digits = _digits(words)
    return UUID(digits) if len(digits) == 32 else None


def _text_matches(words: str) -> Q:
    """An id, whole or its beginning or end as lists show it; part of a file's name; part of an error."""
    if whole := _whole_id(words):
        return Q(pk=whole)
    digits = _digits(words)
    found = Q(file_name__icontains=words) | Q(error_text__icontains=words)
    return found | Q(pk__startswith=digits) | Q(pk__endswith=digits) if digits else found

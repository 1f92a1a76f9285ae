"""The list of jobs: what a viewer filters by, one page by key, and counts that never cost more than a bounded look."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib.auth import get_user_model
from django.db.models import Count, Q

from predictions import rights
from predictions.bounded_looks import Look, look
from predictions.models import ENDED, OPEN, REVOKING, Job, JobQuerySet, Kind, State, first_id_at
from predictions.queues import QUEUES
from predictions.wanted_jobs import OF_STATUS, STATUSES, WantedJobs

PAGE = 50
COUNTED = 10_000
HEAVY = ("vector", "summary", "error", "notes", "request_hash", "idempotency_key")
NO_TIME = "That is no time. Give one like 2026-11-21T14:30, in UTC."


class FilterForm(forms.Form):
    """What the address of the list may hold. Times are UTC."""

    status = forms.ChoiceField(choices=[(status, status) for status in STATUSES], required=False)
    kind = forms.ChoiceField(choices=Kind, required=False)
    queue = forms.ChoiceField(choices=[(queue, queue) for queue in QUEUES], required=False)
    model = forms.CharField(max_length=120, required=False)
    user = forms.CharField(max_length=150, required=False)
    after = forms.DateTimeField(required=False, label="From", error_messages={"invalid": NO_TIME})
    until = forms.DateTimeField(required=False, label="To", error_messages={"invalid": NO_TIME})
    q = forms.CharField(max_length=100, required=False)
    before = forms.UUIDField(required=False)


@dataclass(frozen=True)
class Counted:
    """How many jobs have a status. is_least: there may be more than that."""

    status: str
    number: int
    is_least: bool


class JobList:
    """The jobs that one viewer sees under one set of filters. A filter that cannot be read shows nothing, and says so in `form`."""

    def __init__(self, viewer: Any, given: Mapping[str, Any]) -> None:
        self.viewer = viewer
        self.form = FilterForm(given)
        self.is_valid = self.form.is_valid()
        self.chosen: dict[str, Any] = {name: value for name, value in self.form.cleaned_data.items() if value}
        self._given = {name: str(given[name]) for name in self.chosen}

    @property
    def is_filtered(self) -> bool:
        return bool(self.chosen.keys() - {"before"})

    @property
    def counts_of(self) -> str:
        """Tells the counts of one set of filters from those of another, so that live numbers meet the chips they belong to."""
        return hashlib.sha256(self.query(status="", before="").encode()).hexdigest()[:8]

    def query(self, **changes: str) -> str:
        """The filters as a query string, with some changed or (empty) left out."""
        return urlencode({name: value for name, value in (self._given | changes).items() if value})

    def page(self) -> tuple[list[Job], UUID | None]:
        """The rows, newest first, and the key of the next page. Page 5,000 costs what page 1 costs."""
        seen = self.look()
        return rows_of(seen.keys), seen.next

    def look(self) -> Look:
        jobs, fits = self._wanted.found()
        return look(jobs, fits, self.chosen.get("before"), PAGE)

    def window(self, newest: UUID) -> list[Job]:
        """The page that begins with `newest`, as its jobs are now."""
        jobs, fits = self._wanted.found()
        return rows_of(look(jobs.filter(pk__lte=newest), fits, None, PAGE).keys)

    def newer(self, than: UUID | None) -> list[Job]:
        """What came after the page was drawn, at most one page of it."""
        jobs, fits = self._wanted.found()
        return rows_of(look(jobs.filter(pk__gt=than) if than else jobs, fits, None, PAGE).keys)

    def newest(self) -> UUID | None:
        """The key of the newest job it could show, whatever its state."""
        return self._wanted.scope.order_by("-pk").values_list("pk", flat=True).first()

    def open_then(self, newest: UUID, seen: datetime) -> JobQuerySet:
        """The open jobs of the list as it stood at `seen`, none newer than `newest`. What waited then may run by now."""
        jobs = self._wanted.few(OPEN).filter(self._wanted.narrowed, pk__lte=newest)
        return jobs.filter(_was_then(self.chosen.get("status", ""), seen))

    def words(self) -> str:
        """The filters, as a person is told them and the audit keeps them."""
        return ", ".join(f"{name} {value}" for name, value in self._given.items() if name != "before")

    def counts(self) -> list[Counted]:
        """By status: the open ones by their index, the ended ones among the newest 10,000 jobs of the viewer."""
        return self._count(OPEN, self._wanted.few(OPEN)) + self._count(ENDED, self._wanted.scope.order_by("-pk"))

    def _count(self, states: tuple[State, ...], looked_at: JobQuerySet) -> list[Counted]:
        wanted = [status for status in STATUSES if (State.RUNNING if status == REVOKING else status) in states]
        numbers = {status: Count("pk", filter=OF_STATUS[status] & self._wanted.narrowed) for status in wanted}
        found = looked_at[: COUNTED + 1].aggregate(**numbers, looked_at=Count("pk"))
        return [Counted(str(status), found[status], found["looked_at"] > COUNTED) for status in wanted]

    @cached_property
    def _wanted(self) -> WantedJobs:
        return WantedJobs(self.chosen, self._owner_id if self._is_of_one_owner else None, self._in_time())

    def _in_time(self) -> JobQuerySet:
        """The id's first bits are its time, so it needs no index of its own."""
        if not self.is_valid:
            return Job.objects.none()
        jobs = Job.objects.all()
        if "after" in self.chosen:
            jobs = jobs.filter(pk__gte=first_id_at(self.chosen["after"]))
        if "until" in self.chosen:
            jobs = jobs.filter(pk__lt=first_id_at(self.chosen["until"]))
        return jobs

    @cached_property
    def _is_of_one_owner(self) -> bool:
        return "user" in self.chosen or not rights.has(self.viewer, rights.SEE_ANY_JOB)

    @cached_property
    def _owner_id(self) -> int:
        """0, whom nobody is, where there is no such user."""
        if not rights.has(self.viewer, rights.SEE_ANY_JOB):
            return int(self.viewer.pk)
        found = get_user_model().objects.filter(username=self.chosen["user"]).values_list("pk", flat=True).first()
        return found or 0


def rows_of(keys: list[UUID]) -> list[Job]:
    """Newest first. By their keys alone: asked for the owner too, SQLite reads through all that the owner has."""
    jobs = Job.objects.filter(pk__in=keys).select_related("owner").defer(*HEAVY)
    return sorted(jobs, key=lambda job: job.pk, reverse=True)


def _was_then(status: str, seen: datetime) -> Q:
    """What an open job is now that had the status at `seen`. One that started since had waited."""
    if status == State.QUEUED:
        return Q(state=State.QUEUED) | Q(state=State.RUNNING, started__gt=seen)
    if status == State.RUNNING:
        return Q(state=State.RUNNING, revoke_requested=False, started__lte=seen)
    return OF_STATUS.get(status, Q())

"""Finds a job's task by id, model, user or the error's words: by an index, or by a look at so many jobs and no more."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Q

from predictions import model_cards, task_rows
from predictions.bounded_looks import LOOKED_AT, Look, look
from predictions.job_list import rows_of
from predictions.models import Job, JobQuerySet, State

PAGE = 25
ASKED = ("id", "model", "user", "error")
HEX = re.compile(r"[0-9a-f]{4,32}")
NO_ID = "'{}' is no id. Give a whole one, or its beginning or end of at least 4 of the characters 0 to 9 and a to f."


class SearchForm(forms.Form):
    id = forms.CharField(max_length=36, required=False)
    model = forms.CharField(max_length=120, required=False)
    user = forms.CharField(max_length=150, required=False)
    error = forms.CharField(max_length=100, required=False)
    before = forms.UUIDField(required=False)

    def clean_user(self) -> str:
        given: str = self.cleaned_data["user"]
        if given and not get_user_model().objects.filter(username=given).exists():
            raise ValidationError(f"There is no user '{given}'.")
        return given

    def clean_id(self) -> str:
        """Its hexadecimal digits."""
        given: str = self.cleaned_data["id"]
        digits = given.replace("-", "").lower()
        if given and not HEX.fullmatch(digits):
            raise ValidationError(NO_ID.format(given))
        return digits


@dataclass(frozen=True)
class Found:
    """A job and its task's row, where it has one yet."""

    job: Job
    task: dict[str, Any] | None


class TaskSearch:
    """What somebody asked for, and what one look found."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.form = SearchForm(given)
        self.is_valid = self.form.is_valid()
        self.chosen: dict[str, Any] = {name: value for name, value in self.form.cleaned_data.items() if value}
        self.is_asked = any(given.get(name) for name in ASKED)

    def query(self, **changes: str) -> str:
        """Also what cannot be read: whoever asks the same again is told so again."""
        given = {name: str(self.form.data.get(name, "")) for name in self.form.fields}
        return urlencode({name: value for name, value in (given | changes).items() if value})

    def found(self) -> tuple[list[Found], Look]:
        seen = self._look() if self.is_asked and self.is_valid else Look([])
        tasks = task_rows.listed(seen.keys)
        return [Found(job, tasks.get(job.pk)) for job in rows_of(seen.keys)], seen

    def how_far(self, seen: Look) -> str:
        """What a look that stopped has not seen."""
        what = f"{LOOKED_AT:,} {'failed ' if 'error' in self.chosen else ''}jobs"
        start = "the next" if "before" in self.chosen else "the newest"
        return f"Looked at {start} {what}." if seen.stopped else ""

    def _look(self) -> Look:
        jobs, fits = self._jobs()
        before = self.chosen.get("before")
        digits = self.chosen.get("id", "")
        if not digits:
            return look(jobs, fits, before, PAGE)
        if len(digits) == 32:
            return look(jobs.filter(pk=UUID(digits)), fits, before, PAGE)
        seen = look(jobs, fits & Q(pk__endswith=_tail(digits)), before, PAGE)
        begun = [] if before else look(jobs.filter(_begins(digits)), fits, None, PAGE).keys
        return Look(list({*begun, *seen.keys}), seen.next, seen.stopped)

    def _jobs(self) -> tuple[JobQuerySet, Q]:
        """What an index finds in the order of keys, and what is asked of each of these."""
        asked = {name: self._fits(name) for name in ASKED[1:] if name in self.chosen}
        by_index = next((name for name in ("error", "user", "model") if name in asked and self._has_index(name)), "")
        jobs = Job.objects.all()
        if by_index == "error":
            jobs = jobs.filter(state=State.FAILED)
        elif by_index:
            jobs = jobs.filter(asked.pop(by_index))
        return jobs, reduce(and_, asked.values(), Q())

    def _fits(self, name: str) -> Q:
        given = self.chosen[name]
        if name == "error":
            return Q(error_text__icontains=given)
        if name == "user":
            return Q(owner=get_user_model().objects.filter(username=given).first())
        refs = _refs(given)
        return Q(model=refs[0]) if len(refs) == 1 else Q(model__in=refs)

    def _has_index(self, name: str) -> bool:
        """Several versions at once have none that is in the order of keys."""
        return name != "model" or len(_refs(self.chosen["model"])) == 1


def _refs(model: str) -> list[str]:
    """A name stands for all its versions that are registered."""
    return [model] if "@" in model else [card.ref for card in model_cards.cards() if card.name == model]


def _begins(digits: str) -> Q:
    """As a range of keys, which an index finds."""
    return Q(pk__gte=UUID(digits.ljust(32, "0")), pk__lte=UUID(digits.ljust(32, "f")))


def _tail(digits: str) -> str:
    """With the dashes that PostgreSQL writes; "x" stands where nothing was given."""
    whole = digits.rjust(32, "x")
    dashed = "-".join((whole[:8], whole[8:12], whole[12:16], whole[16:20], whole[20:]))
    return dashed.lstrip("x-")

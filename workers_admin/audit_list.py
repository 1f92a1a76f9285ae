"""The audit trail, newest first: filtered by who, what, to what and when, one page by key, each found by an index."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.db import connection
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Coalesce

from predictions.audit import Audit

PAGE = 50
MOST_NAMES = 200
KINDS = ("job", "queue", "worker", "API key", "user", "group", "model")
"""What the subject of an entry begins with, for who types the rest alone."""
SLACK = timedelta(minutes=5)
NO_TIME = "That is no time. Give one like 2026-11-21T14:30, in UTC."
FEW = 2_000
COLUMNS = {"who": "who_name", "action": "action"}
FILTERS = ("who", "action", "subject", "after", "until")


class FilterForm(forms.Form):
    """Times are UTC."""

    who = forms.CharField(max_length=150, required=False)
    action = forms.CharField(max_length=40, required=False)
    subject = forms.CharField(max_length=200, required=False)
    after = forms.DateTimeField(required=False, label="From", error_messages={"invalid": NO_TIME})
    until = forms.DateTimeField(required=False, label="To", error_messages={"invalid": NO_TIME})
    before = forms.IntegerField(min_value=1, max_value=2**63 - 1, required=False)


class AuditList:
    """A filter that cannot be read shows nothing, and says so in `form`."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.form = FilterForm(given)
        self.is_valid = self.form.is_valid()
        self.chosen: dict[str, Any] = {name: value for name, value in self.form.cleaned_data.items() if value}
        self._given = {name: str(given[name]) for name in self.chosen}

    @property
    def is_filtered(self) -> bool:
        return bool(self.chosen.keys() & set(FILTERS)) or not self.is_valid

    @property
    def is_first_page(self) -> bool:
        return "before" not in self.chosen

    @property
    def is_live(self) -> bool:
        """A filtered list, or an older page, stands still."""
        return self.is_first_page and not self.is_filtered

    @property
    def job_id(self) -> UUID | None:
        """Whose entries are asked for, where it is one job's."""
        try:
            return UUID(self.chosen.get("subject", "").strip().removeprefix("job "))
        except ValueError:
            return None

    def page(self) -> tuple[list[Audit], str]:
        """The entries, and the query of the next page or nothing."""
        rows = list(self.entries(self.chosen.get("before"))[: PAGE + 1])
        return rows[:PAGE], self.query(before=str(rows[PAGE - 1].pk)) if len(rows) > PAGE else ""

    def entries(self, before: int | None = None) -> QuerySet[Audit]:
        """All that match, newest first. before: only older ones than this."""
        if not self.is_valid:
            return Audit.objects.none()
        found = Audit.objects.order_by("-pk")
        if before:
            found = found.filter(pk__lt=before)
        return self._between(self._named(found))

    def query(self, **changes: str) -> str:
        return urlencode({name: value for name, value in (self._given | changes).items() if value})

    def _named(self, found: QuerySet[Audit]) -> QuerySet[Audit]:
        """By the index of the rarer: of who did what, or of the subject, which SQLite would not choose by itself."""
        people = {COLUMNS[name]: self.chosen[name] for name in COLUMNS if name in self.chosen}
        if "subject" not in self.chosen:
            return found.filter(**people)
        subject = {"subject": self._subject}
        if people and Audit.objects.filter(**people).order_by("-pk")[FEW : FEW + 1].exists():
            return _beside(found.filter(**subject), people)
        return _beside(found.filter(**people), subject) if people else found.filter(**subject)

    @cached_property
    def _subject(self) -> str:
        return _whole_subject(self.chosen["subject"])

    def _between(self, found: QuerySet[Audit]) -> QuerySet[Audit]:
        """Entries are numbered in the order of their times, but for those that were written at once: so an index by number finds them."""
        if after := self.chosen.get("after"):
            found = found.filter(at__gte=after, pk__gte=_first_since(after - SLACK))
        if until := self.chosen.get("until"):
            found = found.filter(at__lt=until, pk__lt=_first_since(until + SLACK))
        return found


def _beside(found: QuerySet[Audit], exact: dict[str, str]) -> QuerySet[Audit]:
    """As filter, but by no index."""
    read = found.alias(**{f"_{name}": Coalesce(F(name), Value("")) for name in exact})
    return read.filter(**{f"_{name}": value for name, value in exact.items()})


def _first_since(moment: datetime) -> int:
    """The number of the first entry from then on; of one to come where there is none."""
    found = Audit.objects.filter(at__gte=moment).order_by("at").values_list("pk", flat=True).first()
    return 2**63 - 1 if found is None else found


def _whole_subject(typed: str) -> str:
    """`realtime` is the queue of that name, an id a job's, unless an entry is about just what was typed."""
    words = typed.strip()
    try:
        return f"job {UUID(words)}"
    except ValueError:
        wholes = [words, *(f"{kind} {words}" for kind in KINDS)]
        return next((whole for whole in wholes if Audit.objects.filter(subject=whole).exists()), words)


def names() -> tuple[list[str], list[str]]:
    """Who ever acted and what was ever done: the choices of the filters."""
    return _distinct("who_name"), _distinct("action")


def _distinct(column: str) -> list[str]:
    """From value to value along its index, so that a million entries of twenty people are twenty looks."""
    table = Audit._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE found(name) AS (SELECT min({column}) FROM {table} UNION ALL "  # noqa: S608  our own names
            f"SELECT (SELECT min({column}) FROM {table} WHERE {column} > found.name) FROM found WHERE name IS NOT NULL) "
            f"SELECT name FROM found WHERE name IS NOT NULL LIMIT {MOST_NAMES}"
        )
        return [str(name) for (name,) in cursor.fetchall()]

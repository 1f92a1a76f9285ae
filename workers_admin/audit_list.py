"""The audit trail, newest first: filtered by who and by what, one page by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django import forms

from predictions.audit import Audit

PAGE = 50
ACTIONS_LOOKED_AT = 1_000


class FilterForm(forms.Form):
    who = forms.CharField(max_length=150, required=False)
    action = forms.CharField(max_length=40, required=False)
    before = forms.IntegerField(min_value=1, required=False)


class AuditList:
    """A filter that cannot be read is left out, and the form says so."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.form = FilterForm(given)
        self.form.is_valid()
        self._chosen = {name: value for name, value in self.form.cleaned_data.items() if value}

    @property
    def who(self) -> str:
        return str(self._chosen.get("who", ""))

    @property
    def action(self) -> str:
        return str(self._chosen.get("action", ""))

    @property
    def is_filtered(self) -> bool:
        return bool(self._chosen.keys() & {"who", "action"})

    @property
    def is_first_page(self) -> bool:
        return "before" not in self._chosen

    @property
    def is_live(self) -> bool:
        """A filtered list, or an older page, stands still."""
        return self.is_first_page and not self.is_filtered

    def page(self) -> tuple[list[Audit], str]:
        """The entries, and the query of the next page or nothing."""
        entries = Audit.objects.order_by("-pk")
        if "who" in self._chosen:
            entries = entries.filter(who_name=self._chosen["who"])
        if "action" in self._chosen:
            entries = entries.filter(action=self._chosen["action"])
        if "before" in self._chosen:
            entries = entries.filter(pk__lt=self._chosen["before"])
        rows = list(entries[: PAGE + 1])
        return rows[:PAGE], self.query(before=rows[PAGE - 1].pk) if len(rows) > PAGE else ""

    def query(self, **changes: Any) -> str:
        kept = {name: value for name, value in (self._chosen | changes).items() if value}
        return urlencode(kept)


def names() -> tuple[list[str], list[str]]:
    """Who acted and what they did, among the newest entries: the choices of the filters."""
    newest = Audit.objects.order_by("-pk").values_list("who_name", "action")[:ACTIONS_LOOKED_AT]
    found = list(newest)
    return sorted({who for who, _ in found}), sorted({action for _, action in found})

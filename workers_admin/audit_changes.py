"""What an entry of the audit says was before and is after, in words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from predictions.audit import Audit

ABSENT = object()


@dataclass(frozen=True)
class Change:
    """before, after: None where the entry does not say it."""

    name: str
    before: str | None
    after: str | None

    @property
    def is_one(self) -> bool:
        """One value is all there is to tell."""
        return self.before is None or self.after is None or self.before == self.after

    @property
    def value(self) -> str:
        return (self.before if self.after is None else self.after) or ""


def changes(entry: Audit) -> list[Change]:
    before, after = _named(entry.before), _named(entry.after)
    return [Change(name.replace("_", " "), _words(before, name), _words(after, name)) for name in before | after]


def _named(facts: Any) -> dict[str, Any]:
    """An entry of another release may hold something else than names and values."""
    return facts if isinstance(facts, dict) else {} if facts is None else {"value": facts}


def _words(facts: dict[str, Any], name: str) -> str | None:
    given = facts.get(name, ABSENT)
    if given is ABSENT:
        return None
    if isinstance(given, bool):
        return "yes" if given else "no"
    if isinstance(given, list):
        return ", ".join(map(str, given)) or "none"
    if isinstance(given, dict):
        return json.dumps(given, ensure_ascii=False)
    return "none" if given in (None, "") else str(given)

"""What was wrong and for how long: opened and closed by the steward, which has it told."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from django.db import transaction

from predictions.clock import Clock, now_s
from predictions.models import utc_now
from workers_admin import notices
from workers_admin.conditions import Condition, conditions
from workers_admin.facts import facts_now
from workers_admin.models import Incident

OPENS_AFTER_S = 5.0
CLOSES_AFTER_S = 15.0
"""What comes and goes within these is one incident, or none: nobody is woken for a moment."""
KEPT = timedelta(days=90)
LATELY = timedelta(hours=24)
SHOWN = 20


class Watcher:
    """One steward's memory: since when each condition has held. Two of them open and close each incident once."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._began = time.monotonic()

    def look(self) -> None:
        self.note(conditions(facts_now()), time.monotonic())

    def note(self, found: Sequence[Condition], now: float) -> None:
        """now: seconds, of a clock that never jumps."""
        held = {condition.key[:200]: condition for condition in found}
        self._since = {key: self._since.get(key, now) for key in held}
        known = {incident.key: incident for incident in Incident.objects.filter(ended=None)}
        _renew([known[key] for key in held.keys() & known.keys()], held)
        for key in held.keys() - known.keys():
            if (lasted_s := now - self._since[key]) >= OPENS_AFTER_S:
                _open(held[key], lasted_s)
        # Who has only begun to look does not know yet what is still so.
        if now - self._began >= CLOSES_AFTER_S:
            for key in known.keys() - held.keys():
                _close(known[key])


def _renew(incidents: Sequence[Incident], held: dict[str, Condition]) -> None:
    Incident.objects.filter(pk__in=[incident.pk for incident in incidents]).update(seen_at=Clock())
    for incident in incidents:
        if held[incident.key].is_bad and not incident.is_bad:  # a silent worker is lost by now
            Incident.objects.filter(pk=incident.pk).update(**_said(held[incident.key]))


@transaction.atomic
def _open(condition: Condition, lasted_s: float) -> None:
    """Of two stewards one inserts it, and that one has it told."""
    fresh = {**_said(condition), "began": utc_now() - timedelta(seconds=lasted_s), "seen_at": now_s()}
    incident, is_new = Incident.objects.get_or_create(key=condition.key[:200], ended=None, defaults=fresh)
    if is_new:
        notices.plan(incident, of_end=False)


def _said(condition: Condition) -> dict[str, str | bool]:
    return {
        "words": condition.words[:500],
        "command": condition.command[:500],
        "href": condition.href[:200],
        "is_bad": condition.is_bad,
    }


@transaction.atomic
def _close(incident: Incident) -> None:
    """As of when it was last seen, unless another steward, which may see what this one cannot, has just found it so."""
    last_seen = max(incident.began, datetime.fromtimestamp(incident.seen_at, UTC))
    unseen = Incident.objects.filter(pk=incident.pk, ended=None, seen_at__lt=Clock() - CLOSES_AFTER_S)
    if unseen.update(ended=last_seen) == 1:
        notices.plan(incident, of_end=True)


def dated(found: Iterable[Condition]) -> list[Condition]:
    """The same, each with the time since when it has been so."""
    began = dict(Incident.objects.filter(ended=None).values_list("key", "began"))
    return [replace(condition, since=began.get(condition.key)) for condition in found]


def lately() -> list[Incident]:
    """Those of the last 24 hours and those still open, the newest first; each by its own index."""
    since, known = utc_now() - LATELY, Incident.objects.prefetch_related("notices").order_by("-began")
    still_open = known.filter(ended=None, began__lte=since)
    return [*known.filter(began__gt=since)[:SHOWN], *still_open[:SHOWN]]


def forget_old() -> None:
    Incident.objects.filter(ended__lt=utc_now() - KEPT).delete()

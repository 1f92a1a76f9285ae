"""The steward's tick: one row that says when it last looked, on the database's clock."""

from __future__ import annotations

import time
from collections import deque

from django.db import models

from predictions.clock import Clock, now_s

SILENT_AFTER_S = 5.0
COMMITS = 3
"""The quickest of so many counts: one that had to wait says nothing about the database."""
_took: dict[str, deque[float]] = {}


class Tick(models.Model):
    """One row for each loop that must be seen to run; `name` is "steward"."""

    name = models.CharField(primary_key=True, max_length=40)
    at = models.FloatField()
    commit_s = models.FloatField(null=True, help_text="what writing it lately took at least, until it was on the disk")

    def __str__(self) -> str:
        return self.name


def tick(name: str) -> float | None:
    """Note that the loop runs; returns the seconds from its last tick until this one was written, None at the first time.

    So a database that was shut while we wrote counts as a gap: the living could not beat either.
    """
    last = _at(name)
    if last is None:
        Tick.objects.update_or_create(name=name, defaults={"at": Clock()})
        return None
    _write(name)
    return max(0.0, now_s() - last)


def _write(name: str) -> None:
    """What it took is told with the next."""
    took = _took.setdefault(name, deque(maxlen=COMMITS))
    begun = time.monotonic()
    Tick.objects.filter(name=name).update(at=Clock(), commit_s=min(took) if len(took) == COMMITS else None)
    took.append(time.monotonic() - begun)


def seen(name: str) -> tuple[float | None, float | None]:
    """(seconds since its last tick, what its commits take at least); None: it never ran, or no other tick was written."""
    row = Tick.objects.filter(name=name).annotate(now=Clock()).values_list("now", "at", "commit_s").first()
    if row is None:
        return None, None
    now, at, commit_s = row
    return max(0.0, now - at), commit_s


def age_s(name: str) -> float | None:
    return seen(name)[0]


def _at(name: str) -> float | None:
    return Tick.objects.filter(name=name).values_list("at", flat=True).first()

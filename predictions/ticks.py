"""The steward's tick: one row that says when it last looked, on the database's clock."""

from __future__ import annotations

from django.db import models

from predictions.clock import Clock, now_s

SILENT_AFTER_S = 5.0


class Tick(models.Model):
    """One row for each loop that must be seen to run; `name` is "steward"."""

    name = models.CharField(primary_key=True, max_length=40)
    at = models.FloatField()

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
    Tick.objects.filter(name=name).update(at=Clock())
    return max(0.0, now_s() - last)


def age_s(name: str) -> float | None:
    at = _at(name)
    return None if at is None else max(0.0, now_s() - at)


def _at(name: str) -> float | None:
    return Tick.objects.filter(name=name).values_list("at", flat=True).first()

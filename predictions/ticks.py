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
    """Note that the loop runs; returns the seconds since it last did, None at the first time."""
    last = age_s(name)
    if last is None:
        Tick.objects.update_or_create(name=name, defaults={"at": Clock()})
    else:
        Tick.objects.filter(name=name).update(at=Clock())
    return last


def age_s(name: str) -> float | None:
    row = Tick.objects.filter(name=name).values_list("at", flat=True).first()
    return None if row is None else max(0.0, now_s() - row)

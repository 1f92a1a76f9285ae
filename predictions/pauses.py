"""Which queues are paused: their jobs are accepted and wait."""

from __future__ import annotations

from typing import Any

from django.db import models


class Pause(models.Model):
    """A queue that is paused has a row."""

    queue = models.CharField(max_length=16, primary_key=True)
    by_name = models.CharField(max_length=150)
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.queue


def paused_queues() -> set[str]:
    return set(_paused())


def is_paused(queue: str) -> bool:
    return Pause.objects.filter(pk=queue).exists()


def pauses() -> dict[str, Pause]:
    """By the name of the queue."""
    return {pause.queue: pause for pause in Pause.objects.all()}


def paused(queue: str) -> models.Exists:
    """The condition that this queue is paused, for a statement that must not begin anything then."""
    return models.Exists(Pause.objects.filter(pk=queue))


def in_paused(queue: str = "queue") -> models.Q:
    """The condition that a row's queue is paused. queue: the path to it, as in `job__queue`."""
    return models.Q(**{f"{queue}__in": _paused()})


def not_paused_sql(queue: str = "queue") -> str:
    """The opposite for plain SQL. queue: a column, or what gives a queue's name."""
    return f"{queue} NOT IN (SELECT queue FROM predictions_pause)"  # noqa: S608  our own names


def _paused() -> Any:
    return Pause.objects.values_list("queue", flat=True)

"""Which queues are paused: their jobs are accepted and wait."""

from __future__ import annotations

from django.db import models


class Pause(models.Model):
    """A queue that is paused has a row."""

    queue = models.CharField(max_length=16, primary_key=True)
    by_name = models.CharField(max_length=150)
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.queue


def paused_queues() -> set[str]:
    return set(Pause.objects.values_list("queue", flat=True))

"""Times that lie further ahead than anything is ever put off: the clock was set back, and they would hold things up for as long."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from predictions.clock import Clock
from predictions.leases import LEASE_S
from predictions.models import Chunk, Job, State
from predictions.workers import Worker

FURTHEST_S = 60.0
"""More than any back-off, and more than the time until a message is sent again."""


def pull_back() -> int:
    """A lease is given its whole length anew, so that the living can beat first; what was put off is due. Returns how many."""
    return sum(rows.update(**changes) for rows, changes in _too_far_ahead() if rows.exists())


def _too_far_ahead() -> list[tuple[QuerySet[Any], dict[str, Any]]]:
    running, queued = Job.objects.filter(state=State.RUNNING), Job.objects.filter(state=State.QUEUED)
    scored = Chunk.objects.filter(state=Chunk.State.RUNNING)
    reserved = Chunk.objects.filter(state=Chunk.State.RESERVED)
    a_lease_on, far_ahead = Clock() + LEASE_S, Clock() + FURTHEST_S
    return [
        (running.filter(lease_until__gt=a_lease_on), {"lease_until": a_lease_on}),
        (scored.filter(lease_until__gt=a_lease_on), {"lease_until": a_lease_on}),
        (queued.filter(run_after__gt=far_ahead), {"run_after": Clock(), "publish_at": Clock()}),
        (queued.filter(publish_at__gt=far_ahead), {"publish_at": Clock()}),
        (reserved.filter(publish_at__gt=far_ahead), {"publish_at": Clock()}),
        (Worker.objects.filter(beat_at__gt=Clock() + 1.0), {"beat_at": Clock()}),
    ]

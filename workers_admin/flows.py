"""What came into each queue and went out of it in the last minute: from the jobs' own rows, the newest of them at most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Min, Q, QuerySet, Sum

from predictions.models import OPEN, Export, Job, first_id_at, utc_now
from predictions.queues import BATCH, DEFAULT, QUEUES, REALTIME
from predictions.workers import Node

WINDOW_S = 60.0
LOOKED_AT = 2_000
FILES_LOOKED_AT = 500


@dataclass(frozen=True)
class Flow:
    """In a minute: jobs, on `default` files to make. is_rough: more were there than were looked at, so it is their pace."""

    come: float = 0.0
    gone: float = 0.0
    is_rough: bool = False

    @property
    def grows(self) -> bool:
        return self.come > self.gone


def flows() -> dict[str, Flow]:
    """By queue. Gone is what a worker ended; what was revoked before it began went nowhere."""
    since = utc_now() - timedelta(seconds=WINDOW_S)
    came = Job.objects.filter(pk__gte=first_id_at(since)).order_by("-pk")
    went = Job.objects.filter(finished__gt=since, started__isnull=False).order_by("-finished")
    came_by, came_is_rough = _a_minute(came, "created")
    went_by, went_is_rough = _a_minute(went, "finished")
    is_rough = came_is_rough or went_is_rough
    jobs = {queue: Flow(came_by[queue], went_by[queue], is_rough) for queue in (REALTIME, BATCH)}
    return jobs | {DEFAULT: _files_flow(since)}


def _a_minute(jobs: QuerySet[Job], moment: str) -> tuple[dict[str, float], bool]:
    """By queue; the newest tell the pace where there are more."""
    counts: dict[str, Any] = {queue: Count("pk", filter=Q(queue=queue)) for queue in QUEUES}
    found = jobs[:LOOKED_AT].aggregate(**counts, oldest=Min(moment))
    oldest: datetime | None = found.pop("oldest")
    is_rough = sum(found.values()) == LOOKED_AT
    over_s = max(0.001, (utc_now() - oldest).total_seconds()) if is_rough and oldest else WINDOW_S
    return {queue: number * 60 / over_s for queue, number in found.items()}, is_rough


def _files_flow(since: datetime) -> Flow:
    newest = Export.objects.order_by("-pk").values_list("created", "finished", "state")[:FILES_LOOKED_AT]
    rows = list(newest)
    come = sum(created > since for created, _, _ in rows)
    gone = sum(finished is not None and finished > since for _, finished, _ in rows)
    return Flow(float(come), float(gone))


def drains_in_s(queue: str, waiting: int, flow: Flow, serving: Sequence[Node]) -> float | None:
    """At the present pace, if nothing more came; None where nothing goes out. Of files, by the rows that are left."""
    living = [node for node in serving if node.is_alive]
    if not waiting:
        return 0.0
    if not living:  # what went out in the last minute says nothing then
        return None
    if queue == BATCH:
        rows_per_s = sum(node.total("rows_per_s") for node in living)
        return _rows_left() / rows_per_s if rows_per_s else None
    return waiting * 60 / flow.gone if flow.gone else None


def _rows_left() -> int:
    """In two looks: those that wait stand in an index by their queue, and few run."""
    left = (Job.objects.filter(queue=BATCH, state=state).aggregate(rows=Sum(F("total") - F("done"))) for state in OPEN)
    return sum(found["rows"] or 0 for found in left)

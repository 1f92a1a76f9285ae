"""A vector job on its way in, without Django's model: to make one of those would cost a request a quarter of its time."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from predictions.models import Job, Kind, State, new_id, utc_now
from predictions.queues import REALTIME


@dataclass(slots=True, eq=False)
class FreshJob:
    """What one fresh vector job has and another has not, named as in `Job`; below, what all have. vector: (width,)."""

    owner_id: int
    model: str
    vector: list[float]
    priority: int
    source: str
    store: bool
    on_bad_row: str
    idempotency_key: str | None = None
    request_hash: str = ""
    retry_of_id: UUID | None = None
    lane: int = 0
    id: UUID = field(default_factory=new_id)
    created: datetime = field(default_factory=utc_now)

    kind: ClassVar = Kind.REALTIME
    queue: ClassVar = REALTIME
    state: ClassVar = State.QUEUED
    status: ClassVar = State.QUEUED.value
    version: ClassVar = 1
    attempt: ClassVar = 0
    done: ClassVar = 0
    total: ClassVar = 1
    started: ClassVar[datetime | None] = None
    finished: ClassVar[datetime | None] = None
    expires: ClassVar[datetime | None] = None
    error: ClassVar[dict[str, Any] | None] = None
    notes: ClassVar[tuple[str, ...]] = ()
    summary: ClassVar[dict[str, Any] | None] = None

    def as_job(self) -> Job:
        """The same as Django's model, for who asks more of it."""
        return Job(kind=self.kind, queue=self.queue, **{name: getattr(self, name) for name in OWN})


# They are the names of the columns as well.
OWN = [each.name for each in fields(FreshJob)]

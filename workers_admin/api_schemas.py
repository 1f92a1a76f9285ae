"""The shapes of what the JSON API says about queues and workers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from predictions.api_schemas import Exact


class QueueOut(Exact):
    """Counted in messages: a job on `realtime`, a part that is due on `batch`. null where Redis does not answer.

    database_queued = waiting + unacked + unpublished + missing - stale - running.
    """

    name: str
    waiting: int | None = Field(description="in the broker, all bands")
    waiting_by_priority: dict[str, int] | None = Field(examples=[{"9": 3, "1": 12}])
    unacked: int | None = Field(description="delivered, not acknowledged")
    unpublished: int = Field(description="accepted, not yet published")
    missing: int | None = Field(description="published by the database, found nowhere")
    database_queued: int
    stale: int | None = Field(description="messages whose job has moved on")
    running: int = Field(description="in the hands of a worker")
    consumers: int = Field(description="living workers that serve it")
    oldest_wait_s: float | None
    paused: bool = Field(description="nothing of it begins; what is submitted is accepted and waits")
    error: str | None = Field(description="why Redis could not be asked")


class QueuesOut(Exact):
    items: list[QueueOut]


class WorkerOut(Exact):
    """One node name; the processes of a prefork worker are added up."""

    name: str
    host: str
    pid: int | None = Field(description="null once lost")
    queues: list[str]
    state: Literal["starting", "idle", "busy", "stopping", "silent", "lost"]
    pool: str
    pool_size: int = Field(description="processes that run tasks")
    device: str | None
    model: str | None = Field(examples=["digits@1"])
    model_state: Literal["loading", "ready", "failed"]
    model_error: str | None
    job: str | None = Field(description="the id of the job in hand")
    processed: int
    failed: int
    rows_per_s: float
    cpu_percent: float
    memory_bytes: int
    gpu_memory_bytes: int | None
    gpu_percent: float | None = Field(description="of the GPU's time, whoever used it")
    heartbeat_age_s: float
    celery_age_s: float | None = Field(description="since Celery's own loop last turned; null: it has not yet")
    progress_age_s: float | None = Field(description="since the work in hand last moved; null: nothing is in hand")
    started: str
    versions: dict[str, str] = Field(examples=[{"python": "3.11.7", "celery": "5.6.3"}])


class WorkersOut(Exact):
    items: list[WorkerOut]

"""Jobs, queues and workers as the JSON contract shows them (docs: api.md of version 1)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from predictions import outcomes, waiting
from predictions.fresh import FreshJob
from predictions.models import Job, Kind, State
from predictions.tallies import WORKING
from predictions.waiting import Position


def time_of(moment: datetime | None) -> str | None:
    """RFC 3339, UTC, to the millisecond."""
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def job_json(job: Job | FreshJob, result: Any = None, position: Position | None = None) -> dict[str, Any]:
    """One job; `result` is its stored prediction, `position` its place in the queue, where it has one."""
    job_id = str(job.id)
    links = f"/api/v1/jobs/{job_id}"
    body: dict[str, Any] = {
        "id": job_id,
        "task_id": job_id,
        "kind": job.kind,
        "status": job.status,
        "queue": job.queue,
        "priority": job.priority,
        "model": job.model,
        "created": time_of(job.created),
        "started": time_of(job.started),
        "finished": time_of(job.finished),
        "expires": time_of(job.expires),
        "attempt": job.attempt,
        "progress": {"done": job.done, "total": job.total},
        "error": job.error,
        "notes": job.notes,
        "retry_of": str(job.retry_of_id) if job.retry_of_id else None,
        "links": {"self": links, "result": f"{links}/result", "page": f"/jobs/{job_id}/"},
    }
    if position:
        body["position"] = position.as_json()
    if job.kind == Kind.REALTIME and job.state == State.SUCCEEDED:
        body["result"] = result
    if job.kind == Kind.BATCH:
        body["summary"] = {name: value for name, value in (job.summary or {}).items() if name not in WORKING} or None
    return body


def ended_json(job: Job | FreshJob, ending: dict[str, Any]) -> dict[str, Any]:
    """A vector job that has ended since it was read. ending: the fields that are other than they were, as the news told them."""
    body = job_json(job) | ending
    return body | {"result": body.get("result")} if body["status"] == State.SUCCEEDED else body


def jobs_json(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """Many jobs, with their predictions and places read at once."""
    results, positions = predictions_of(jobs), waiting.positions(jobs)
    return [job_json(job, results.get(job.pk), positions.get(job.pk)) for job in jobs]


def one_job_json(job: Job) -> dict[str, Any]:
    return jobs_json([job])[0]


def predictions_of(jobs: Sequence[Job]) -> dict[UUID, Any]:
    return outcomes.results_of([job.pk for job in jobs if job.kind == Kind.REALTIME and job.state == State.SUCCEEDED])

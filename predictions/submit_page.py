"""What the Submit page shows of jobs: the one just sent, live, and the last five. Views and websockets render it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from predictions import outcomes, waiting, workers
from predictions.errors import UnknownModel
from predictions.model_cards import ModelCard, card
from predictions.models import Job, Kind, State
from predictions.pauses import is_paused
from predictions.queues import start_command
from predictions.templatetags.quantities import duration
from predictions.waiting import Position

RECENT = 5
END_WORDS = {State.SUCCEEDED: "Done", State.FAILED: "Failed", State.REVOKED: "Revoked", State.EXPIRED: "Done"}


@dataclass(frozen=True)
class Step:
    """One moment of a job's life. look: done, now, bad or nothing while it is to come; took_s: until the next."""

    word: str
    look: str
    at: datetime | None = None
    took_s: float | None = None


def recent_context(viewer: Any) -> dict[str, Any]:
    """For `_recent.html`: the viewer's own last five jobs, the newest first."""
    jobs = list(Job.objects.filter(owner=viewer).order_by("-pk")[:RECENT])
    results = outcomes.results_of(job.pk for job in jobs if has_prediction(job))
    return {"recent": [{"job": job, "prediction": results.get(job.pk)} for job in jobs]}


def sent_context(job: Job, viewer: Any) -> dict[str, Any]:
    """For `_sent.html`: one job that `viewer` sent, as it stands now."""
    prediction = outcomes.results_of([job.pk]).get(job.pk) if has_prediction(job) else None
    return {
        "job": job,
        "card": _card_of(job),
        "steps": steps_of(job),
        "prediction": prediction,
        "announcement": _announcement(job, prediction),
        **_standing_of(job),
    }


def has_prediction(job: Job) -> bool:
    return job.kind == Kind.REALTIME and job.state == State.SUCCEEDED


def steps_of(job: Job) -> list[Step]:
    """Queued, Running and the end, each with the time it took."""
    if job.state == State.QUEUED:
        return [Step("Queued", "now", job.created), Step("Running", ""), Step("Done", "")]
    if job.state == State.RUNNING:
        word = "Stopping" if job.revoke_requested else "Running"
        return [_queued(job), Step(word, "now", job.started), Step("Done", "")]
    running = [Step("Running", "done", job.started, _between(job.started, job.finished))] if job.started else []
    look = "done" if job.state in (State.SUCCEEDED, State.EXPIRED) else "bad"
    return [_queued(job), *running, Step(END_WORDS[State(job.state)], look, job.finished)]


def line_words(position: Position) -> str:
    """Where a job stands, in words: "3 ahead, about 0.2 s"."""
    if not position.ahead:
        return "next in line" if position.eta_s is None else "starts at once"
    about = "" if position.eta_s is None else f", about {duration(sum(position.eta_s) / 2)}"
    return f"{position.ahead:,} ahead{about}"


def _standing_of(job: Job) -> dict[str, Any]:
    position = waiting.position(job)
    if position is None:
        return {"line": "", "command": "", "is_paused": False}
    serving = workers.live_workers(job.queue)
    return {
        "line": line_words(position),
        "command": "" if serving else start_command(job.queue),
        "is_paused": is_paused(job.queue),
    }


def _queued(job: Job) -> Step:
    return Step("Queued", "done", job.created, _between(job.created, job.started or job.finished))


def _between(start: datetime | None, end: datetime | None) -> float | None:
    return (end - start).total_seconds() if start and end else None


def _card_of(job: Job) -> ModelCard | None:
    """None where the model is no longer registered."""
    try:
        return card(job.model)
    except UnknownModel:
        return None


def _announcement(job: Job, prediction: dict[str, Any] | None) -> str:
    return f"Job {job.status}: {prediction['label']}" if prediction else f"Job {job.status}"

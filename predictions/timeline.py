"""A job's life as a list of moments, each with its time; every attempt that went wrong is a branch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from predictions.models import Event, Job, Kind, State
from predictions.pauses import is_paused
from predictions.templatetags.quantities import duration

DONE, NOW, BAD = "done", "now", "bad"


@dataclass(frozen=True)
class Moment:
    """at: None where it has not come yet. since: a clock runs from there. took_s: since the moment before."""

    words: str
    at: datetime | None = None
    look: str = DONE
    took_s: float | None = None
    detail: str = ""
    since: datetime | None = None
    branches: list[Moment] = field(default_factory=list)


def timeline(job: Job) -> list[Moment]:
    moments = [
        moment for moment in (_accepted(job), _published(job), _started(job), _under_way(job), _ended(job)) if moment
    ]
    return _with_branches(moments, job.events.all())


def waited_s(job: Job) -> float | None:
    return None if job.started is None else _between(job.created, job.started)


def ran_s(job: Job) -> float | None:
    return None if job.started is None or job.finished is None else _between(job.started, job.finished)


def _between(begin: datetime, end: datetime) -> float:
    """Clocks of two processes may differ by a little; time does not run back."""
    return max(0.0, (end - begin).total_seconds())


def _accepted(job: Job) -> Moment:
    detail = "It is in the database: it can no longer be lost." if job.state == State.QUEUED else ""
    words = "Accepted, to continue a job that was stopped" if job.is_rest else "Accepted"
    return Moment(words, job.created, detail=detail)


def _published(job: Job) -> Moment | None:
    if job.published:
        return Moment(f"Published to {job.queue}", job.published, took_s=_between(job.created, job.published))
    if job.started and job.kind == Kind.REALTIME:
        # A worker was quicker than the note of it: so it was published, and nobody wrote down when.
        return Moment(f"Published to {job.queue}")
    if job.state == State.QUEUED and not job.started:
        return Moment(
            "Not yet published",
            look=NOW,
            detail=_unpublished(job.queue),
        )
    return None


def _unpublished(queue: str) -> str:
    if is_paused(queue):
        return f"{queue} is paused; it is published at the resume."
    return "The broker has not confirmed its message; it is sent again until it does."


def _started(job: Job) -> Moment | None:
    if job.started is None:
        return None
    words = f"Started on {job.worker}" if job.worker else "Started"
    return Moment(words, job.started, took_s=_between(job.published or job.created, job.started), detail=_together(job))


def _together(job: Job) -> str:
    """With how many it was scored, once that is known."""
    if not job.micro_batch or job.started is None:
        return ""
    return f"In a micro-batch of {job.micro_batch}, waited {duration(_between(job.created, job.started))}."


def _under_way(job: Job) -> Moment | None:
    if job.state == State.RUNNING:
        words = "Stopping" if job.revoke_requested else "Scoring" if job.kind == Kind.BATCH else "Running"
        return Moment(words, look=NOW, since=job.started)
    if job.state == State.QUEUED and (job.published or job.started):
        return Moment("Waiting for a worker", look=NOW, since=job.created)
    return None


def _ended(job: Job) -> Moment | None:
    if not job.has_ended:
        return None
    revoked = "Revoked" if job.started else "Revoked before it started"
    words = {State.FAILED: "Failed", State.REVOKED: revoked}.get(State(job.state), "Succeeded")
    return Moment(words, job.finished, BAD if job.state == State.FAILED else DONE, ran_s(job))


def _with_branches(moments: list[Moment], events: Iterable[Event]) -> list[Moment]:
    """Each event hangs on the last moment before it."""
    for event in events:
        place = max((at for at, moment in enumerate(moments) if moment.at and moment.at <= event.at), default=0)
        held = moments[place]
        moments[place] = replace(held, branches=[*held.branches, _branch(event)])
    return moments


def _branch(event: Event) -> Moment:
    return Moment(event.text, event.at, BAD, detail=f"Attempt {event.attempt}" if event.attempt else "")

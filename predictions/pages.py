"""What the templates of jobs are given; views and websockets render from the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.urls import reverse

from predictions import model_cards, outcomes, progress, rest, result_rows, rights, timeline, waiting, workers
from predictions.bounded_looks import LOOKED_AT
from predictions.errors import Refused, UnknownModel
from predictions.job_files import files_context
from predictions.job_list import JobList, rows_of
from predictions.model_cards import ModelCard
from predictions.models import ENDED, OPEN, Job, Kind, State
from predictions.pauses import is_paused
from predictions.queues import QUEUES, start_command


def job_context(job: Job, viewer: Any, problem: Refused | None = None) -> dict[str, Any]:
    """All that moves on a job's page. problem: why the viewer's last act was refused."""
    may_run_again = rights.may_act_on(viewer, job, rights.RETRY_ANY_JOB)
    context = {
        "job": job,
        "viewer": viewer,
        "problem": problem,
        "state_partial": f"predictions/states/_{job.status}.html",
        "moments": timeline.timeline(job),
        "waited_s": timeline.waited_s(job),
        "ran_s": timeline.ran_s(job),
        "may_revoke": job.state in OPEN
        and not job.revoke_requested
        and rights.may_act_on(viewer, job, rights.REVOKE_ANY_JOB),
        "may_retry": job.has_ended and may_run_again,
        "may_run_rest": may_run_again and rest.may_run_rest(job),
        "retried_as": job.retried_as.order_by("pk").values("pk", "is_rest"),
    }
    kind_context = _batch_context if job.kind == Kind.BATCH else _realtime_context
    return context | _line_context(job) | _failure_context(job, viewer) | kind_context(job)


def list_context(shown: JobList) -> dict[str, Any]:
    """The whole list under its filters."""
    seen = shown.look()
    return {
        "shown": shown,
        "jobs": rows_of(seen.keys),
        "looked_at": LOOKED_AT if seen.stopped else 0,
        "viewer": shown.viewer,
        "models": [card.ref for card in model_cards.cards()],
        "next_url": f"?{shown.query(before=str(seen.next))}" if seen.next else "",
        "first_url": f"?{shown.query(before='')}" if shown.chosen.get("before") else "",
        "gathers_known": bool(shown.chosen.get("before")) or shown.is_filtered,
        "all_query": shown.query(status="", before=""),
        "matching_query": shown.query(before="", next=f"{reverse('jobs')}?{shown.query(before='')}"),
        "may_match_open": shown.chosen.get("status", "") not in ENDED,
        "kinds": Kind.choices,
        "queues": QUEUES,
    } | counts_of(shown)


def result_rows_context(job: Job, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The first rows of a batch. chosen: `class`, a label, and `order`, both may be left out."""
    label, order = chosen.get("class", ""), chosen.get("order", result_rows.FILE_ORDER)
    labels = list((job.summary or {}).get("classes", {}))
    return {
        "job": job,
        "table": result_rows.shown_rows(job, label, order),
        "labels": labels,
        "label": label,
        "order": order,
    }


def rows_context(jobs: Iterable[Job], viewer: Any) -> dict[str, Any]:
    """Rows of the list, for whoever sees it; oldest first, because each is put on top of those before it."""
    return {"jobs": sorted(jobs, key=lambda job: job.pk), "viewer": viewer}


def counts_of(shown: JobList) -> dict[str, Any]:
    """The numbers on the list's status chips."""
    counts = [{**asdict(count), "query": shown.query(status=count.status, before="")} for count in shown.counts()]
    return {"counts": counts, "counts_of": shown.counts_of}


def card_of(job: Job) -> ModelCard | None:
    """None where the model is no longer registered; its jobs can still be read."""
    try:
        return model_cards.card(job.model)
    except UnknownModel:
        return None


def _line_context(job: Job) -> dict[str, Any]:
    """Whether an open job is kept by a pause; where a queued one stands, and what serves its queue."""
    if job.has_ended:
        return {}
    paused = {"is_paused": is_paused(job.queue)}
    if job.state != State.QUEUED:
        return paused
    served = bool(workers.live_workers(job.queue))
    return paused | {
        "position": waiting.position(job),
        "is_served": served,
        "start_command": start_command(job.queue),
    }


def _failure_context(job: Job, viewer: Any) -> dict[str, Any]:
    """The cause as a Refused looks, so that it is shown as any refusal is; the traceback for those who see the console."""
    if job.state != State.FAILED:
        return {}
    error = job.error or {}
    cause = {"detail": error.get("message", "It failed without a message."), "errors": error.get("errors", [])}
    return {
        "cause": cause | {"error_count": error.get("error_count", 0)},
        "traceback": outcomes.traceback_of(job.pk) if rights.has(viewer, rights.SEE_CONSOLE) else None,
    }


def _realtime_context(job: Job) -> dict[str, Any]:
    prediction = outcomes.results_of([job.pk]).get(job.pk) if job.state == State.SUCCEEDED else None
    return {"card": card_of(job), "prediction": prediction, "result_lives_s": settings.RESULT_EXPIRES}


def _batch_context(job: Job) -> dict[str, Any]:
    summary = job.summary or {}
    card = card_of(job)
    bins = progress.histogram(summary)
    states = list(job.parts.order_by("number").values_list("state", flat=True))
    return {
        "card": card,
        "progress": progress.progress(job),
        "chunk_counts": progress.chunk_counts(states),
        "cells": progress.cells(states),
        "shares": progress.shares(summary, card.labels if card else ()),
        "bins": bins,
        "sure_share": progress.sure_share(bins),
        "rows_news": f"{job.status}-{'some' if 'done' in states and result_rows.may_show(job) else 'none'}",
        "scored": job.done - job.rejected,
        "places": summary.get("places", []),
        "result_lives_s": settings.RESULT_EXPIRES,
    } | files_context(job)

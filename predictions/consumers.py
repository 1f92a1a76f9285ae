"""The websockets about jobs: one job, a list of them, and what the Submit page shows."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Hashable, Iterable, Sequence
from typing import Any
from uuid import UUID

from django.template.loader import render_to_string

from predictions import contract, pages, rights, submit_page
from predictions.job_list import HEAVY, JobList
from predictions.live import hub
from predictions.live.screen import NOT_FOUND, Closed, Message, Screen
from predictions.live.socket import LiveSocket
from predictions.models import OPEN, Job, JobQuerySet

SHOWN = 50
MOST_ROWS = 200  # at once; a page gathers no more
REMEMBERED = 1_000
COUNTS_EVERY_S = 0.25
COUNTS_REST = 20.0


class JobSocket(LiveSocket):
    """`/ws/jobs/<id>/`."""

    def screen(self, viewer: Any, query: dict[str, str]) -> Screen:
        job_id: UUID = self.scope["url_route"]["kwargs"]["job_id"]
        if not Job.objects.of(viewer).filter(pk=job_id).exists():
            raise Closed(NOT_FOUND, "There is no such job.")
        return JobScreen(viewer, query, job_id)


class JobsSocket(LiveSocket):
    """`/ws/jobs/`, with `?view=submit` for the Submit page."""

    def screen(self, viewer: Any, query: dict[str, str]) -> Screen:
        return (SubmitScreen if query.get("view") == "submit" else ListScreen)(viewer, query)


class JobsScreen(Screen):
    """Jobs as HTML fragments, or with `?format=json` as the contract's JSON."""

    def __init__(self, viewer: Any, query: dict[str, str]) -> None:
        super().__init__(viewer, query)
        self.is_json = query.get("format") == "json"

    def all_jobs(self) -> JobQuerySet:
        return Job.objects.select_related("owner", "upload")

    def visible(self) -> JobQuerySet:
        return self.all_jobs().of(self.viewer)

    def after(self, ids: Sequence[UUID]) -> Sequence[Message]:
        return self.messages(self.visible_of(ids))

    def visible_of(self, ids: Sequence[UUID]) -> list[Job]:
        """By the primary key alone: asked for the owner too, SQLite reads through all that the owner has."""
        return [job for job in self.all_jobs().filter(pk__in=ids) if self.may_see(job)]

    def may_see(self, job: Job) -> bool:
        return bool(rights.has(self.viewer, rights.SEE_ANY_JOB) or job.owner_id == self.viewer.pk)

    def messages(self, jobs: Iterable[Job]) -> Sequence[Message]:
        oldest_first = sorted(jobs, key=lambda job: job.pk)
        return _json_messages(oldest_first) if self.is_json else self.html_messages(oldest_first)

    def html_messages(self, jobs: list[Job]) -> Sequence[Message]:
        raise NotImplementedError


class JobScreen(JobsScreen):
    """One job. While it is open, its place in the line and its pace move without news of it."""

    refresh_s = 2.0
    news_shows_all = True

    def __init__(self, viewer: Any, query: dict[str, str], job_id: UUID) -> None:
        super().__init__(viewer, query)
        self.job_id = job_id
        self.audience = hub.job_audience(job_id)

    def first(self) -> Sequence[Message]:
        return self.messages(self.visible().filter(pk=self.job_id))

    def later(self) -> Sequence[Message]:
        return self.messages(self.visible().filter(pk=self.job_id, state__in=OPEN))

    def html_messages(self, jobs: list[Job]) -> Sequence[Message]:
        return [
            _html(f"job {job.pk}", "predictions/_job_live.html", pages.job_context(job, self.viewer)) for job in jobs
        ]


class ListScreen(JobsScreen):
    """The rows of one page of the list, every change of the others, and the counts on the filters."""

    def __init__(self, viewer: Any, query: dict[str, str]) -> None:
        super().__init__(viewer, query)
        self.audience = hub.ALL if rights.has(viewer, rights.SEE_ANY_JOB) else hub.owner_audience(viewer.pk)
        self._list = JobList(viewer, query)
        self._said: dict[UUID, int] = {}
        self._counts_at = 0.0

    @property
    def seen_by(self) -> Hashable:
        """All who may see every job see the same list, with the same buttons."""
        return self.audience, self._held

    def all_jobs(self) -> JobQuerySet:
        return super().all_jobs() if self.is_json else Job.objects.select_related("owner").defer(*HEAVY)

    def first(self) -> Sequence[Message]:
        jobs = self._page()
        self._said = self._said or _versions(jobs)
        return self._both(jobs)

    def after(self, ids: Sequence[UUID]) -> Sequence[Message]:
        """Where very much changes at once, pages show what they begin with; all of it nobody could read."""
        if len(ids) > MOST_ROWS and not self.is_json:
            return self.later()
        jobs = self.visible_of(ids)
        self._say(jobs)
        if self.is_json:
            return self.messages(jobs)
        if time.monotonic() >= self._counts_at:
            return self._both(jobs)
        self.owes_at = self._counts_at
        return self.messages(jobs)

    def later(self) -> Sequence[Message]:
        page = self._page()
        jobs = [job for job in page if self._said.get(job.pk) != job.version]
        self._said = _versions(page)
        return self._both(jobs)

    def owed(self) -> Sequence[Message]:
        return [self._counts()]

    def html_messages(self, jobs: list[Job]) -> Sequence[Message]:
        context = pages.rows_context(jobs, self.viewer)
        return [Message("", render_to_string("predictions/_job_rows_live.html", context))] if jobs else []

    def _both(self, jobs: list[Job]) -> Sequence[Message]:
        rows = self.messages(jobs)
        return rows if self.is_json else [*rows, self._counts()]

    def _counts(self) -> Message:
        began = time.monotonic()
        message = _html("counts", "predictions/_job_counts.html", pages.counts_of(self._list))
        self._counts_at = time.monotonic() + max(COUNTS_EVERY_S, COUNTS_REST * (time.monotonic() - began))
        self.owes_at = math.inf
        return message

    def _page(self) -> list[Job]:
        jobs, _ = self._list.page()
        return jobs

    def _say(self, jobs: Iterable[Job]) -> None:
        self._said |= _versions(jobs)
        while len(self._said) > REMEMBERED:
            del self._said[next(iter(self._said))]


def _versions(jobs: Iterable[Job]) -> dict[UUID, int]:
    return {job.pk: job.version for job in jobs}


class SubmitScreen(JobsScreen):
    """My last jobs, and what was just sent, whichever of them the page shows."""

    refresh_s = 2.0

    def __init__(self, viewer: Any, query: dict[str, str]) -> None:
        super().__init__(viewer, query)
        self.audience = hub.owner_audience(viewer.pk)

    def visible(self) -> JobQuerySet:
        return self.all_jobs().filter(owner=self.viewer)

    def may_see(self, job: Job) -> bool:
        return bool(job.owner_id == self.viewer.pk)

    def first(self) -> Sequence[Message]:
        return self.messages(self._last())

    def later(self) -> Sequence[Message]:
        """Only those that still wait or run can have moved on without a message."""
        open_jobs = [job for job in self._last() if not job.has_ended]
        return self.messages(open_jobs) if open_jobs else []

    def _last(self) -> list[Job]:
        return list(self.visible().order_by("-pk")[: submit_page.RECENT])

    def html_messages(self, jobs: list[Job]) -> Sequence[Message]:
        sent = [
            _into(f"sent-{job.pk}", "predictions/_sent.html", submit_page.sent_context(job, self.viewer))
            for job in jobs[-SHOWN:]
        ]
        return [*sent, _into("recent", "predictions/_recent.html", submit_page.recent_context(self.viewer))]


def _json_messages(jobs: list[Job]) -> list[Message]:
    return [Message(f"job {body['id']}", json.dumps({"type": "job", "job": body})) for body in contract.jobs_json(jobs)]


def _html(about: str, template: str, context: dict[str, Any]) -> Message:
    return Message(about, render_to_string(template, context))


def _into(element_id: str, template: str, context: dict[str, Any]) -> Message:
    """A fragment that takes the place of the element of its id; where the page has none, nothing happens."""
    inner = render_to_string(template, context)
    return Message(element_id, f'<hx-partial hx-target="#{element_id}" hx-swap="outerMorph">{inner}</hx-partial>')

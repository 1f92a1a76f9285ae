"""The websockets about jobs: one job, a list of them, and what the Submit page shows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.template.loader import render_to_string

from predictions import contract, pages, submit_page
from predictions.job_list import HEAVY, JobList
from predictions.live import hub
from predictions.live.socket import NOT_FOUND, Closed, LiveSocket, Message, Screen
from predictions.models import OPEN, Job, JobQuerySet

SHOWN = 50


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

    def visible(self) -> JobQuerySet:
        return Job.objects.of(self.viewer).select_related("owner", "upload")

    def after(self, ids: Sequence[UUID]) -> Sequence[Message]:
        return self.messages(self.visible().filter(pk__in=ids))

    def messages(self, jobs: Iterable[Job]) -> Sequence[Message]:
        oldest_first = sorted(jobs, key=lambda job: job.pk)
        return _json_messages(oldest_first) if self.is_json else self.html_messages(oldest_first)

    def html_messages(self, jobs: list[Job]) -> Sequence[Message]:
        raise NotImplementedError


class JobScreen(JobsScreen):
    """One job. While it is open, its place in the line and its pace move without news of it."""

    refresh_s = 2.0

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
        self.audience = hub.ALL if viewer.is_staff else hub.owner_audience(viewer.pk)
        self._versions: dict[UUID, int] = {}

    def visible(self) -> JobQuerySet:
        return super().visible() if self.is_json else super().visible().defer(*HEAVY)

    def first(self) -> Sequence[Message]:
        return self.messages(self._page())

    def later(self) -> Sequence[Message]:
        return self.messages(job for job in self._page() if self._versions.get(job.pk) != job.version)

    def html_messages(self, jobs: list[Job]) -> Sequence[Message]:
        rows = [_html("rows", "predictions/_job_rows_live.html", pages.rows_context(jobs, self.viewer))] if jobs else []
        counts = pages.counts_context(self.viewer, self.query)
        return [*rows, _html("counts", "predictions/_job_counts.html", counts)]

    def _page(self) -> list[Job]:
        jobs, _ = JobList(self.viewer, self.query).page()
        self._versions = {job.pk: job.version for job in jobs}
        return jobs


class SubmitScreen(JobsScreen):
    """My last jobs, and what was just sent, whichever of them the page shows."""

    refresh_s = 2.0

    def __init__(self, viewer: Any, query: dict[str, str]) -> None:
        super().__init__(viewer, query)
        self.audience = hub.owner_audience(viewer.pk)

    def visible(self) -> JobQuerySet:
        return super().visible().filter(owner=self.viewer)

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

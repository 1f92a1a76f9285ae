"""Revoking the jobs that were selected on the list, or all that match its filters once their number was typed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from predictions import audit, bulk_revocation, clock, rights
from predictions.bulk_revocation import MOST, Act, Foreseen
from predictions.job_list import JobList
from predictions.models import ENDED, JobQuerySet
from predictions.refusing import permitted
from predictions.revocation import revocable
from predictions.views.selection import back_to_list, selected_jobs
from predictions.views.signed_in import signed_in

NONE = UUID(int=0)


class SeenForm(forms.Form):
    """What the confirmation said, and the number that was typed under it."""

    newest = forms.UUIDField()
    seen = forms.DateTimeField()
    shown = forms.IntegerField(min_value=0)
    number = forms.CharField(required=False)

    def typed(self) -> str:
        return str(self.cleaned_data["number"]).replace(",", "").strip()

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.get("shown") is not None and self.typed() != str(given["shown"]):
            self.add_error(
                "number", f"'{given['number'][:20]}' was typed; type {given['shown']} to revoke so many jobs."
            )
        return given


@dataclass(frozen=True)
class Confirmation:
    """What will happen to the jobs that match. newest, seen: no job after these is meant."""

    newest: UUID
    seen: datetime
    foreseen: Foreseen
    ended: int
    ended_is_least: bool


@require_POST
@signed_in
@permitted(rights.SUBMIT, rights.REVOKE_ANY_JOB)
def revoke_selected(request: HttpRequest) -> HttpResponse:
    ids = list(revocable(selected_jobs(request), request.user).values_list("pk", flat=True))
    if ids:
        counts = bulk_revocation.revoke_selected(ids, request.user, audit.address_of(request))
        messages.info(request, f"Revoke: {bulk_revocation.told(counts)}.")
    else:
        messages.info(request, "No job was selected.")
    return redirect(back_to_list(request))


@require_http_methods(["GET", "POST"])
@never_cache
@signed_in
@permitted(rights.SUBMIT, rights.REVOKE_ANY_JOB)
def revoke_matching(request: HttpRequest) -> HttpResponse:
    """GET: what will happen to all that match the filters. POST, with their number typed: do it."""
    shown = JobList(request.user, request.GET)
    form = SeenForm(request.POST or None)
    if form.is_valid() and shown.is_valid:
        _revoke_matching(request, shown, form)
        return redirect(back_to_list(request))
    status = 422 if form.is_bound or not shown.is_valid else 200
    context = {"shown": shown, "form": form, "confirmation": _confirmation(request, shown), "most": MOST}
    context["back"] = back_to_list(request)
    return render(request, "predictions/revoke_matching.html", context, status=status)


def _confirmation(request: HttpRequest, shown: JobList) -> Confirmation:
    seen, newest = datetime.fromtimestamp(clock.now_s(), UTC), shown.newest() or NONE
    ended = [count for count in shown.counts() if count.status in _ended_of(shown)]
    return Confirmation(
        newest,
        seen,
        bulk_revocation.foresee(_matching(request, shown, newest, seen)),
        sum(count.number for count in ended),
        any(count.is_least for count in ended),
    )


def _ended_of(shown: JobList) -> tuple[str, ...]:
    status = shown.chosen.get("status", "")
    return tuple(state for state in ENDED if status in ("", state))


def _revoke_matching(request: HttpRequest, shown: JobList, form: SeenForm) -> None:
    seen = form.cleaned_data
    jobs = _matching(request, shown, seen["newest"], seen["seen"])
    ids = list(jobs.order_by("pk").values_list("pk", flat=True)[: seen["shown"]])
    act = Act(
        request.user,
        audit.address_of(request),
        f"all that match {shown.words() or 'no filter'}",
        {"filter": shown.query(before=""), "up to": str(seen["newest"]), "shown": seen["shown"]},
    )
    messages.info(request, f"Revoke: {bulk_revocation.begin_to_revoke(ids, act, gone=seen['shown'] - len(ids))}")


def _matching(request: HttpRequest, shown: JobList, newest: UUID, seen: datetime) -> JobQuerySet:
    return revocable(shown.open_then(newest, seen), request.user)

"""CSV files as drafts: received once, shown, then submitted or removed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from predictions import matching, receiving, rights, submission, uploading
from predictions.arriving import arriving_of
from predictions.composing import draft_context
from predictions.db_threads import in_db_thread
from predictions.errors import InvalidInput, NotFound, Refused
from predictions.forms import card_of, draft_wishes
from predictions.models import Job, Upload
from predictions.parts import Plan
from predictions.refusing import permitted
from predictions.views.answers import accepted, is_script, posted, refused, signed_in, signed_out

GONE = "The upload is no longer kept: drafts are removed after an hour. Send the file again."


async def receive(request: HttpRequest) -> HttpResponse:
    """A script sends the file as the body, with its name and model in the address; a form sends it as a form does."""
    if request.method != "POST":
        return redirect("submit")
    user = await request.auser()
    if not user.is_authenticated:
        return await sync_to_async(signed_out)(request)
    try:
        await in_db_thread(rights.demand, user, rights.SUBMIT)
        draft = await _received(request, user)
    except Refused as refusal:
        return await sync_to_async(refused)(request, refusal, "csv")
    return await sync_to_async(_shown)(request, draft)


@posted
@signed_in
@permitted(rights.SUBMIT)
def submit_draft(request: HttpRequest, draft_id: UUID) -> HttpResponse:
    draft = uploading.draft_of(request.user, draft_id)
    try:
        job = _submitted(request, draft)
    except Refused as refusal:
        return refused(request, refusal, "csv", draft)
    return accepted(request, job, "csv")


@posted
@signed_in
def remove_draft(request: HttpRequest, draft_id: UUID) -> HttpResponse:
    if draft := uploading.draft_of(request.user, draft_id):
        uploading.discard(draft)
    if is_script(request):
        return HttpResponse(status=200)
    return redirect(f"{reverse('submit')}?tab=csv")


async def _received(request: HttpRequest, user: Any) -> Upload:
    """The fields of a form that came before its file are Django's POST."""
    arriving = arriving_of(request)
    if arriving.file_name is None:
        raise InvalidInput("No file was chosen. Choose a table, such as a CSV file.")
    name, fields = (arriving.file_name, request.POST) if arriving.form else (request.GET.get("name", ""), request.GET)
    return await receiving.receive(arriving, user, name, card_of(fields), kind=None, may_map=True)


def _shown(request: HttpRequest, draft: Upload) -> HttpResponse:
    if not is_script(request):
        return redirect(f"{reverse('submit')}?draft={draft.pk}")
    return render(request, "predictions/_draft.html", draft_context(draft), status=201)


def _submitted(request: HttpRequest, draft: Upload | None) -> Job:
    if draft is None:
        raise NotFound(GONE)
    matching.refuse_unmatched(draft)
    wishes = draft_wishes(request.POST)
    if wishes.on_bad_row == "reject" and (refusal := uploading.refusal_of(Plan.from_json(draft.plan))):
        raise refusal
    return submission.submit_batch(request.user, draft, wishes)[0]

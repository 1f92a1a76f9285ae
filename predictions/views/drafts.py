"""CSV files as drafts: received once, shown, then submitted or removed."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from predictions import submission, uploading
from predictions.composing import draft_context
from predictions.errors import InvalidInput, NotFound, Refused
from predictions.forms import card_of, draft_wishes
from predictions.models import Job, Upload
from predictions.parts import Plan
from predictions.views.answers import accepted, is_script, posted, refused, signed_in

BLOCK_BYTES = 1 << 20
GONE = "The upload is no longer kept: drafts are removed after an hour. Send the file again."


@posted
@signed_in
def receive(request: HttpRequest) -> HttpResponse:
    """A script sends the file as the body, with its name and model in the address; a form sends it as a form does."""
    try:
        draft = _received(request)
    except Refused as refusal:
        return refused(request, refusal, "csv")
    if not is_script(request):
        return redirect(f"{reverse('submit')}?draft={draft.pk}")
    return render(request, "predictions/_draft.html", draft_context(draft), status=201)


@posted
@signed_in
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


def _received(request: HttpRequest) -> Upload:
    if not (request.content_type or "").startswith("multipart/"):
        return uploading.receive(request.user, request.GET.get("name", ""), _blocks(request), card_of(request.GET))
    file = request.FILES.get("file")
    if file is None:
        raise InvalidInput("No file was chosen. Choose a CSV file.")
    return uploading.receive(request.user, file.name or "", file.chunks(BLOCK_BYTES), card_of(request.POST))


def _blocks(request: HttpRequest) -> Iterable[bytes]:
    return iter(partial(request.read, BLOCK_BYTES), b"")


def _submitted(request: HttpRequest, draft: Upload | None) -> Job:
    if draft is None:
        raise NotFound(GONE)
    wishes = draft_wishes(request.POST)
    if wishes.on_bad_row == "reject" and (refusal := uploading.refusal_of(Plan.from_json(draft.plan))):
        raise refusal
    return submission.submit_batch(request.user, draft, wishes)[0]

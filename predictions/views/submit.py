"""The Submit page, its POSTs of a vector and of JSON, and the parts of it that refresh."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from predictions import rights, submission, uploading
from predictions.composing import compose_context, filled_from, standing_context
from predictions.errors import Refused
from predictions.forms import card_of, json_request, vector_request
from predictions.json_bodies import Request
from predictions.models import Job
from predictions.refusing import permitted
from predictions.submit_page import recent_context, sent_context
from predictions.views.answers import accepted, page, posted, problem, refused, signed_in


@require_GET
@never_cache
@signed_in
def submit(request: HttpRequest) -> HttpResponse:
    card, filled, draft = filled_from(request.GET, request.user)
    return page(request, compose_context(card, request.user, filled, draft))


@posted
@signed_in
@permitted(rights.SUBMIT)
def submit_vector(request: HttpRequest) -> HttpResponse:
    return _submitted(request, "vector", vector_request)


@posted
@signed_in
@permitted(rights.SUBMIT)
def submit_json(request: HttpRequest) -> HttpResponse:
    return _submitted(request, "json", json_request)


@require_GET
@never_cache
@signed_in
def sent(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """The card of one job and the list: for a page without a websocket, and for news that was there before the card."""
    job = get_object_or_404(Job.objects.of(request.user), pk=job_id)
    return render(request, "predictions/_sent_now.html", sent_context(job, request.user) | recent_context(request.user))


@require_GET
@never_cache
@signed_in
def standing(request: HttpRequest) -> HttpResponse:
    try:
        return render(request, "predictions/_standing_now.html", standing_context(card_of(request.GET), request.user))
    except Refused as refusal:
        return problem(request, refusal)


def _submitted(request: HttpRequest, tab: str, read: Callable[[QueryDict], Request]) -> HttpResponse:
    try:
        job = _submit(request, read(request.POST))
    except Refused as refusal:
        return refused(request, refusal, tab)
    return accepted(request, job, tab)


def _submit(request: HttpRequest, wanted: Request) -> Job:
    if wanted.vector is not None:
        return submission.submit_vector(request.user, wanted.vector, wanted.card, wanted.wishes)[0]
    upload = uploading.receive_rows(request.user, wanted.rows, wanted.card)
    return submission.submit_batch(request.user, upload, wanted.wishes)[0]

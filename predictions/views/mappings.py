"""The columns of a draft: which of them stands for which feature, looked at, chosen, forgotten."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from predictions import matching, model_cards, rights, uploading
from predictions.composing import Filled, compose_context, draft_context
from predictions.errors import NotFound, Refused
from predictions.matching_form import MatchingForm, matching_form
from predictions.model_cards import ModelCard
from predictions.models import Upload
from predictions.parts import Plan
from predictions.refusing import permitted
from predictions.views.answers import is_script, page, posted, refused, signed_in
from predictions.views.drafts import GONE


@posted
@signed_in
@permitted(rights.SUBMIT)
def choose_columns(request: HttpRequest, draft_id: UUID) -> HttpResponse:
    """`do` says what becomes of the posted choice; without a word it is only looked at."""
    try:
        draft, card, form = _asked_for(request, draft_id)
    except Refused as refusal:
        return refused(request, refusal, "csv")
    try:
        form = form.with_posted(request.POST)
        form.refuse_unknown()
        return _answered(request, draft, card, _done(request, draft, card, form))
    except Refused as refusal:
        return _answered(request, draft, card, form, refusal)


def _asked_for(request: HttpRequest, draft_id: UUID) -> tuple[Upload, ModelCard, MatchingForm]:
    draft = uploading.draft_of(request.user, draft_id)
    if draft is None:
        raise NotFound(GONE)
    card = model_cards.card(draft.model)
    plan = Plan.from_json(draft.plan)
    matching.refuse_unnamed(plan)
    return draft, card, matching_form(plan, card)


def _done(request: HttpRequest, draft: Upload, card: ModelCard, form: MatchingForm) -> MatchingForm | None:
    """The form to show next; None: the choice is made, or left as it was."""
    wanted = request.POST.get("do", "")
    if wanted == "use":
        matching.match(draft, card, form.choice)
    if wanted == "forget":
        matching.forget(draft.owner, card.name)
    if wanted in {"use", "forget", "close"}:
        return None
    if wanted == "order":
        return form.in_order()
    return form.with_view(wanted) if wanted else form


def _answered(
    request: HttpRequest, draft: Upload, card: ModelCard, form: MatchingForm | None, problem: Refused | None = None
) -> HttpResponse:
    """The draft as it now is: for a script the draft alone, without one the page, or the way to it."""
    status = problem.status if problem else 200
    if is_script(request):
        focus = "do" in request.POST and not problem
        shown = {**draft_context(draft, form), "problem": problem, "takes_focus": focus}
        return render(request, "predictions/_draft.html", shown, status=status)
    if form is None:
        return redirect(f"{reverse('submit')}?draft={draft.pk}")
    filled = Filled("csv", problem=problem, form=form)
    answer = page(request, compose_context(card, request.user, filled, draft))
    answer.status_code = status
    return answer

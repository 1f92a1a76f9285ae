"""The Models page: a card a model, with its versions, where it is loaded and what it did today."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from predictions import model_cards, rights
from predictions.model_cards import ModelCard
from predictions.model_figures import figures
from predictions.readiness import loaded_on, readiness


@require_GET
@login_required
def models(request: HttpRequest) -> HttpResponse:
    by_name = groupby(model_cards.cards(), key=lambda card: card.name)
    faults = model_cards.faults() if rights.has(request.user, rights.SEE_CONSOLE) else []
    return render(
        request, "predictions/models.html", {"models": [_shown(list(cards)) for _, cards in by_name], "faults": faults}
    )


def _shown(cards: list[ModelCard]) -> dict[str, Any]:
    """cards: of one model, the newest version first."""
    newest = cards[0]
    return {
        "card": newest,
        "is_default": newest.name == settings.DEFAULT_MODEL,
        "readiness": readiness(newest),
        "versions": [{"card": card, "loaded_on": loaded_on(card.ref), "figures": figures(card.ref)} for card in cards],
        "examples": list(enumerate(newest.examples)),
    }

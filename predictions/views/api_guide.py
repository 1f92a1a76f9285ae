"""The guide to the API: one page of code that runs as it stands on this host."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from predictions import samples
from predictions.errors import UnknownModel
from predictions.model_cards import ModelCard, cards, default_card


@require_GET
@login_required
def api_guide(request: HttpRequest) -> HttpResponse:
    card, site = _card(), samples.site_of(request)
    shown = {
        "card": card,
        "site": site,
        "socket_site": site.replace("http", "ws", 1),
        "follow": samples.of_follow_up(site),
    }
    if card:
        shown |= {
            "vector": samples.of_example(site, card),
            "file": samples.of_file(site, "rows.csv", card.ref, 1, "skip"),
        }
    return render(request, "predictions/api_guide.html", shown)


def _card() -> ModelCard | None:
    try:
        return default_card()
    except UnknownModel:
        return next(iter(cards()), None)

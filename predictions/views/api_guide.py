"""The guide to the API: one page of code that runs as it stands on this host."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from predictions import samples
from predictions.composing import default_or_first
from predictions.model_cards import ModelCard


@require_GET
@login_required
def api_guide(request: HttpRequest) -> HttpResponse:
    return render(request, "predictions/api_guide.html", _guide(samples.site_of(request), default_or_first()))


def _guide(site: str, card: ModelCard | None) -> dict[str, Any]:
    shown = {"card": card, "socket_site": site.replace("http", "ws", 1), "follow": samples.of_follow_up(site)}
    if card is None:
        return shown
    return shown | {
        "vector": samples.of_example(site, card),
        "file": samples.of_file(site, "rows.csv", card.ref, 1, "skip"),
    }

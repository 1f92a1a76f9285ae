"""`manage.py train_demo_model`: make sure that the demo model is there and intact; a second call costs nothing."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from predictions import model_cards
from predictions.errors import ModelRefused, UnknownModel
from predictions.model_cards import ModelCard

REF = "digits@1"


class Command(BaseCommand):
    help = "Train the demo model on the handwritten digits, unless it is there and its file matches its card."
    requires_system_checks = ()  # Runs at every start: the checks would import the whole site for a look at one file.

    def handle(self, *args: Any, **options: Any) -> None:
        card = _intact_demo_model()
        self.stdout.write(_said(card) + " It is there already." if card else _said(_train()))


def _intact_demo_model() -> ModelCard | None:
    try:
        card = model_cards.card(REF)
        model_cards.verify(card)
    except (UnknownModel, ModelRefused):
        return None
    return card


def _train() -> ModelCard:
    # Imported only when needed: torch takes seconds to import, and a start that finds its model does without.
    from predictions.worker import training

    try:
        return training.train()
    except ModelRefused as refused:
        raise CommandError(str(refused)) from refused


def _said(card: ModelCard) -> str:
    accuracy, held_out = card.metrics.get("accuracy"), card.metrics.get("held_out")
    return f"{card.ref} is right for {accuracy} of the {held_out} rows that it has not seen."

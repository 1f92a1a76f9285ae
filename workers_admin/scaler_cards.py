"""The autoscalers as the console shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import F, QuerySet

from predictions.clock import Clock
from workers_admin.models import Scaler
from workers_admin.scaler_rows import SILENT_AFTER_S

COMMAND = ".venv/bin/python manage.py autoscale --queue realtime --min 1 --max 4 --threshold 50"


@dataclass(frozen=True)
class ScalerCard:
    scaler: Scaler

    def __str__(self) -> str:
        return f"autoscaler of {self.scaler.queue} on {self.scaler.host}"

    @property
    def age_s(self) -> float:
        return max(0.0, float(vars(self.scaler)["age"]))

    @property
    def is_silent(self) -> bool:
        return self.age_s > SILENT_AFTER_S

    @property
    def anchor(self) -> str:
        return f"scaler-{self.scaler.pk}"


def scalers_context() -> dict[str, Any]:
    """For `_scalers.html`."""
    return {"scalers": scaler_cards(), "scaler_command": COMMAND}


def scaler_cards() -> list[ScalerCard]:
    """Those that run, and those that fell silent, until they are dismissed or replaced; a dry run's silence is no matter."""
    cards = [ScalerCard(scaler) for scaler in _not_ended()]
    return [card for card in cards if not (card.scaler.is_dry_run and card.is_silent)]


def living_scalers() -> list[Scaler]:
    return [card.scaler for card in scaler_cards() if not (card.scaler.is_dry_run or card.is_silent)]


def _not_ended() -> QuerySet[Scaler]:
    rows = Scaler.objects.filter(ended=False).annotate(age=Clock() - F("beat_at"))
    return rows.order_by("queue", "host", "pid")

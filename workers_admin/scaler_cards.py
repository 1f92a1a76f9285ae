"""The autoscalers as the console shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import F

from predictions.clock import Clock
from workers_admin.models import Scaler
from workers_admin.scaler_rows import SILENT_AFTER_S

SHOWN_FOR_S = 3600.0
COMMAND = ".venv/bin/python manage.py autoscale --queue realtime --min 1 --max 4 --threshold 50"


@dataclass(frozen=True)
class ScalerCard:
    scaler: Scaler

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
    """For `_scalers.html`: those that run, and those that fell silent within the hour."""
    return {"scalers": [ScalerCard(scaler) for scaler in _not_ended(SHOWN_FOR_S)], "scaler_command": COMMAND}


def living_scalers() -> list[Scaler]:
    return [scaler for scaler in _not_ended(SILENT_AFTER_S) if not scaler.is_dry_run]


def _not_ended(within_s: float) -> list[Scaler]:
    rows = Scaler.objects.filter(ended=False).annotate(age=Clock() - F("beat_at"))
    return list(rows.filter(age__lte=within_s).order_by("queue", "host", "pid"))

"""The app; models that live in the room of their act are loaded beside models.py."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig
from django.db.models.signals import post_migrate

ROOMS_WITH_MODELS = ("audit", "keys", "pauses", "people", "ticks", "workers")


class PredictionsConfig(AppConfig):
    name = "predictions"

    def import_models(self) -> None:
        super().import_models()
        for room in ROOMS_WITH_MODELS:
            import_module(f"predictions.{room}")

    def ready(self) -> None:
        import_module("predictions.key_changes")
        post_migrate.connect(import_module("predictions.roles").make_groups, sender=self)

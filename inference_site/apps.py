"""The project as an app, for its commands."""

from __future__ import annotations

from django.apps import AppConfig


class InferenceSiteConfig(AppConfig):
    name = "inference_site"

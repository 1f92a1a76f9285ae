"""The console's app."""

from __future__ import annotations

from django.apps import AppConfig


class WorkersAdminConfig(AppConfig):
    name = "workers_admin"
    verbose_name = "Workers"

"""Jobs, audit entries and API keys in Django's admin: to be read there, never changed; people and groups are people_admin.py's."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from predictions.audit import Audit
from predictions.keys import ApiKey
from predictions.models import Job
from predictions.people_admin import PeopleAdmin, RolesAdmin
from predictions.read_only_admin import ReadOnlyAdmin

__all__ = ["ApiKeyAdmin", "AuditAdmin", "JobAdmin", "PeopleAdmin", "RolesAdmin"]


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    list_display = ("id", "state", "kind", "model", "priority", "owner", "created", "finished", "worker")
    list_filter = ("state", "kind")
    list_select_related = ("owner",)
    search_fields = ("=id",)
    search_help_text = "A whole job id"
    ordering = ("-id",)
    exclude = ("vector", "summary", "request_hash")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("vector", "summary", "notes", "request_hash")


@admin.register(Audit)
class AuditAdmin(ReadOnlyAdmin):
    list_display = ("at", "who_name", "action", "subject", "outcome", "address")
    list_filter = ("action",)
    search_fields = ("=who_name", "subject")
    ordering = ("-id",)


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Only the hash is stored, and not even that is shown."""

    list_display = ("name", "start", "owner", "created", "last_used", "revoked")
    list_select_related = ("owner",)
    search_fields = ("name", "=owner__username")
    exclude = ("key_hash",)

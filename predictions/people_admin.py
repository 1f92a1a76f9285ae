"""People and groups in Django's admin: every change is audited in its own transaction, and only a superuser touches superusers."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.http import HttpRequest

from predictions import audit

FOR_SUPERUSERS = ("is_superuser", "user_permissions")


class Audited(admin.ModelAdmin):  # type: ignore[type-arg]  # generic only to the type checker
    """Writes the audit where Django writes its own log: within the transaction, once all of it is saved."""

    kind: str

    def facts(self, row: Any) -> dict[str, Any]:
        """What is audited of it."""
        raise NotImplementedError

    def save_form(self, request: Any, form: Any, change: bool) -> Any:
        if change:
            request.was = self.facts(self.model._default_manager.get(pk=form.instance.pk))
        return super().save_form(request, form, change)

    def log_addition(self, request: Any, obj: Any, message: Any) -> Any:
        self._note(request, obj, f"add {self.kind}", "added", after=self.facts(obj))
        return super().log_addition(request, obj, message)

    def log_change(self, request: Any, obj: Any, message: Any) -> Any:
        """Without what was, it was the page that sets a password."""
        was = getattr(request, "was", None)
        if was is None:
            self._note(request, obj, "set password", "set" if obj.has_usable_password() else "taken away")
            return super().log_change(request, obj, message)
        now = self.facts(self.model._default_manager.get(pk=obj.pk))
        if changed := [name for name in now if now[name] != was[name]]:
            words = f"changed {', '.join(changed)}"
            self._note(request, obj, f"change {self.kind}", words, _only(changed, was), _only(changed, now))
        return super().log_change(request, obj, message)

    def log_deletions(self, request: Any, queryset: Any) -> Any:
        for obj in queryset:
            self._note(request, obj, f"delete {self.kind}", "deleted", before=self.facts(obj))
        return super().log_deletions(request, queryset)

    def changelist_view(self, request: Any, extra_context: Any = None) -> Any:
        """One of its actions deletes, which Django does outside of a transaction."""
        with transaction.atomic() if request.method == "POST" else nullcontext():
            return super().changelist_view(request, extra_context)

    def _note(
        self,
        request: Any,
        obj: Any,
        action: str,
        outcome: str,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
    ) -> None:
        audit.write(request.user, action, f"{self.kind} {obj}", outcome, audit.address_of(request), before, after)


def _only(names: list[str], facts: dict[str, Any]) -> dict[str, Any]:
    return {name: facts[name] for name in names}


class PeopleAdmin(Audited, UserAdmin):  # type: ignore[type-arg]  # generic only to the type checker
    kind = "user"

    def facts(self, row: User) -> dict[str, Any]:
        return {
            "username": row.username,
            "email": row.email,
            "active": row.is_active,
            "staff": row.is_staff,
            "superuser": row.is_superuser,
            "groups": sorted(row.groups.values_list("name", flat=True)),
            "permissions": sorted(row.user_permissions.values_list("codename", flat=True)),
        }

    def get_queryset(self, request: HttpRequest) -> Any:
        """Whoever could set the password of a superuser would be one."""
        people = super().get_queryset(request)
        return people if request.user.is_superuser else people.filter(is_superuser=False)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = super().get_readonly_fields(request, obj)
        return fixed if request.user.is_superuser else (*fixed, *FOR_SUPERUSERS)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:  # noqa: A002  Django's name
        with transaction.atomic() if request.method == "POST" else nullcontext():
            return super().user_change_password(request, id, form_url)


class RolesAdmin(Audited, GroupAdmin):
    kind = "group"

    def facts(self, row: Group) -> dict[str, Any]:
        return {"name": row.name, "permissions": sorted(row.permissions.values_list("codename", flat=True))}


admin.site.unregister([User, Group])
admin.site.register(User, PeopleAdmin)
admin.site.register(Group, RolesAdmin)

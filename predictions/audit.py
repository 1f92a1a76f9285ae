"""Who did what to what, when and from where; written in the transaction of the action itself."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.http import HttpRequest


class Audit(models.Model):
    """One action of a person. Never changed once written."""

    at = models.DateTimeField(auto_now_add=True)
    who = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    who_name = models.CharField(max_length=150)
    action = models.CharField(max_length=40)
    subject = models.CharField(max_length=200)
    outcome = models.CharField(max_length=300)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    address = models.GenericIPAddressField(null=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.who_name} {self.action} {self.subject}"


def write(user: Any, action: str, subject: str, outcome: str, address: str | None = None) -> Audit:
    """Call it inside the transaction that acts. user: a person, or the name of what acted without one."""
    person, name = (None, user) if isinstance(user, str) else (user, user.get_username())
    return Audit.objects.create(
        who=person, who_name=name, action=action, subject=subject, outcome=outcome[:300], address=address
    )


def address_of(request: HttpRequest) -> str | None:
    return request.META.get("REMOTE_ADDR") or None

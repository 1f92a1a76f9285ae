"""Who did what to what, when and from where; written in the transaction of the action itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from getpass import getuser
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.db import models
from django.http import HttpRequest

from predictions.errors import AppendOnly
from predictions.models import utc_now

REFUSED = "refused act"
REFUSALS_NOTED, REFUSALS_WITHIN = 10, timedelta(minutes=1)
Facts = Mapping[str, Any]
"""What was, or is then, by its name: {"state": "queued"}."""


class AuditQuerySet(models.QuerySet["Audit"]):
    """Entries are read and added. The database refuses the rest as well (append_only.py)."""

    def update(self, **changes: Any) -> int:
        raise AppendOnly

    def delete(self) -> tuple[int, dict[str, int]]:
        raise AppendOnly


class Audit(models.Model):
    """One action of a person, or of a process of ours. Never changed once written."""

    at = models.DateTimeField(auto_now_add=True)
    who = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    who_name = models.CharField(max_length=150)
    action = models.CharField(max_length=40)
    subject = models.CharField(max_length=200)
    outcome = models.CharField(max_length=300)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    address = models.GenericIPAddressField(null=True)

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["who_name", "-id"], name="audit_by_who"),
            models.Index(fields=["action", "-id"], name="audit_by_action"),
            models.Index(fields=["who_name", "action", "-id"], name="audit_by_both"),
            models.Index(fields=["subject", "-id"], name="audit_by_subject"),
            models.Index(fields=["at"], name="audit_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.who_name} {self.action} {self.subject}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnly
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise AppendOnly


def write(
    user: Any,
    action: str,
    subject: str,
    outcome: str,
    address: str | None = None,
    before: Facts | None = None,
    after: Facts | None = None,
) -> Audit:
    """Call it inside the transaction that acts. user: a person, or the name of what acted without one.

    before, after: only what the act may change, in values of JSON.
    """
    return Audit.objects.create(
        who=None if isinstance(user, str) else user,
        who_name=name_of(user),
        action=action,
        subject=subject[:200],
        outcome=outcome[:300],
        before=before,
        after=after,
        address=address,
    )


def name_of(user: Any) -> str:
    """As the audit and a job's timeline name who acted."""
    return str(user if isinstance(user, str) else user.get_username())[:150]


def note_refusal(user: Any, subject: str, outcome: str, address: str | None = None) -> None:
    """An act of a person who may not. Ten a minute are noted of one person, so that nobody fills the database with them."""
    lately = Audit.objects.filter(who_name=user.get_username(), action=REFUSED).order_by("-pk")
    noted = list(lately.values_list("at", flat=True)[:REFUSALS_NOTED])
    if len(noted) < REFUSALS_NOTED or noted[-1] < utc_now() - REFUSALS_WITHIN:
        write(user, REFUSED, subject, outcome, address)


def command_line() -> str:
    """Who acts by a command: the account of the operating system."""
    try:
        return f"command line ({getuser()})"
    except (KeyError, OSError):  # a container may run as a number without a name
        return "command line"


def address_of(request: HttpRequest) -> str | None:
    """None where there is none: behind a socket of a file."""
    try:
        return str(ip_address(request.META.get("REMOTE_ADDR", "").partition("%")[0]))
    except ValueError:
        return None

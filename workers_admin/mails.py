"""Tells of an incident by e-mail."""

from __future__ import annotations

from django.conf import settings
from django.core.mail import EmailMessage

from workers_admin import telling
from workers_admin.models import Notice


def whom() -> str:
    return ", ".join(settings.ALERT_EMAILS)


def send(notice: Notice) -> None:
    """Raises OSError where the server cannot be reached, or refuses (an SMTPException is one)."""
    headers = {"Message-ID": f"<{telling.notice_id(notice)}@{settings.DEFAULT_FROM_EMAIL.rpartition('@')[2]}>"}
    EmailMessage(telling.subject(notice), telling.letter(notice), to=settings.ALERT_EMAILS, headers=headers).send()

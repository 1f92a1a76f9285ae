"""How a command finds the person it is about."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.core.management.base import CommandError


def named_user(name: str) -> User:
    user = User.objects.filter(username=name).first()
    if user is None:
        names = ", ".join(User.objects.order_by("username").values_list("username", flat=True)[:20])
        raise CommandError(f"There is no user '{name}'; there {'are ' + names if names else 'is none yet'}.")
    if not user.is_active:
        raise CommandError(f"The account '{name}' is closed. Open it in the admin first.")
    return user

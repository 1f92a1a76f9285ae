"""API keys: made once, kept as a hash, looked up by it."""

from __future__ import annotations

import hashlib
import logging
import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import OperationalError, models
from django.dispatch import Signal

from predictions.models import utc_now

log = logging.getLogger(__name__)
PREFIX = "idk_"
NOTED_EVERY = timedelta(minutes=1)
revoked = Signal()


class ApiKey(models.Model):
    """A key's hash and what its owner calls it. The key itself is shown once and kept nowhere."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=80)
    key_hash = models.CharField(max_length=64, unique=True)
    start = models.CharField(max_length=8, help_text="the first characters, to tell keys apart")
    created = models.DateTimeField(auto_now_add=True)
    last_used = models.DateTimeField(null=True)
    revoked = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.start}…)"


def create(owner: Any, name: str) -> tuple[ApiKey, str]:
    """A new key of `owner`: the row, and the key in plain text that nobody will see again."""
    plain = PREFIX + secrets.token_urlsafe(32)
    return ApiKey.objects.create(owner=owner, name=name, key_hash=hash_of(plain), start=plain[:8]), plain


def subject(key: ApiKey) -> str:
    """What the audit calls it."""
    return f"API key {key.start}…"


def hash_of(plain: str) -> str:
    """The keys are random and long, so a plain SHA-256 cannot be guessed back."""
    return hashlib.sha256(plain.encode()).hexdigest()


def find(plain: str) -> ApiKey | None:
    """The living key of an active user, with its owner."""
    living = ApiKey.objects.select_related("owner").filter(revoked=None, owner__is_active=True)
    return living.filter(key_hash=hash_of(plain)).first()


def user_of(plain: str) -> AbstractBaseUser | None:
    """The active user whose living key this is, or None; its use is noted."""
    key = find(plain)
    if key is None:
        return None
    note_use(key)
    return key.owner


def note_use(key: ApiKey) -> None:
    """Once a minute. A database that takes no writes, such as one on a full disk, can still be read."""
    now = utc_now()
    if key.last_used and now - key.last_used <= NOTED_EVERY:
        return
    try:
        ApiKey.objects.filter(pk=key.pk).update(last_used=now)
    except OperationalError as error:
        log.warning("The use of the key %s could not be noted: %s", key, error)


def revoke(owner: Any, key_id: int) -> bool:
    has_revoked = ApiKey.objects.filter(pk=key_id, owner=owner, revoked=None).update(revoked=utc_now()) == 1
    revoked.send(ApiKey)
    return has_revoked

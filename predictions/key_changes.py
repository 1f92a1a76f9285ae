"""Who must hear that a key was revoked, or an account or its rights changed: this process at once, the others through the channel layer."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models.signals import m2m_changed, post_delete, post_save
from django.dispatch import receiver

from predictions import keys, known_keys
from predictions.keys import ApiKey
from predictions.live import say

AT_SIGN_IN = {"last_login"}


@receiver(keys.revoked)
@receiver(post_delete, sender=ApiKey)
@receiver(post_delete, sender=Group)
@receiver(m2m_changed, sender=User.groups.through)
@receiver(m2m_changed, sender=User.user_permissions.through)
@receiver(m2m_changed, sender=Group.permissions.through)
@receiver(post_delete, sender=settings.AUTH_USER_MODEL)
@receiver(post_save, sender=settings.AUTH_USER_MODEL)
def forget_keys(update_fields: Any = None, created: bool = False, **_: Any) -> None:
    """Now, and again once it is committed: in between another request may have read what was. Of a new account nothing was."""
    if not created and (update_fields is None or set(update_fields) != AT_SIGN_IN):
        known_keys.forget()
        transaction.on_commit(known_keys.forget)
        say.keys_changed()

"""One person of each role, as the table's columns are headed."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group

from predictions import rights

COLUMNS = ("nobody", "user", "viewer", "submitter", "operator", "administrator", "staff", "superuser")
STAFF = {"administrator", "staff"}
"""An administrator needs staff status as well to come into Django's admin."""


def person(role: str) -> Any:
    """None for nobody. `user` and `staff` have no role."""
    if role == "nobody":
        return None
    if role == "superuser":
        return get_user_model().objects.create_superuser("superuser")
    user = get_user_model().objects.create_user(f"the {role}", is_staff=role in STAFF)
    if role in rights.ROLES:
        user.groups.add(Group.objects.get(name=role))
    return user

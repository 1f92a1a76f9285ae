"""The ready-made groups: made where one is missing, and left alone where it is there, for it may have been changed on purpose."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db.models import Q

from predictions import rights

ADMINISTRATOR = "administrator"
PEOPLE = ("add_user", "change_user", "delete_user", "view_user", "view_group")
RECORDS = ("view_job", "view_audit", "view_apikey", "view_worker", "view_taskresult")
"""What Django's admin asks for, beside staff status: people, and records to be read."""


def make_groups(using: str = "default", **_: Any) -> None:
    """After each migration, once the permissions are there."""
    there = set(Group.objects.using(using).filter(name__in=rights.ROLES).values_list("name", flat=True))
    for role, held in rights.ROLES.items():
        if role not in there:
            group = Group.objects.using(using).create(name=role)
            # Not by `set`, which announces that rights have changed: nobody is in it yet, and `up` has no Redis yet.
            granted = Permission.objects.using(using).filter(_granted(role, held))
            grant = Group.permissions.through
            grant.objects.using(using).bulk_create(grant(group=group, permission=each) for each in granted)


def _granted(role: str, held: frozenset[str]) -> Q:
    ours = Q(content_type__app_label="predictions", codename__in=[name.partition(".")[2] for name in held])
    if role != ADMINISTRATOR:
        return ours
    people = Q(content_type__app_label="auth", codename__in=PEOPLE)
    return ours | people | Q(content_type__app_label__in=["predictions", "django_celery_results"], codename__in=RECORDS)

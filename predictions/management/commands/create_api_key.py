"""`manage.py create_api_key USER`: a new key for USER, alone on the last line."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone

from predictions import audit, keys
from predictions.management.people import named_user


class Command(BaseCommand):
    help = "Make an API key for USER and print it; it is shown only this once."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, **options: Any) -> None:
        user = named_user(options["username"])
        with transaction.atomic():
            key, plain = keys.create(user, f"command line, {timezone.now():%Y-%m-%d %H:%M}")
            facts = {"owner": user.get_username(), "name": key.name}
            audit.write(audit.command_line(), "make key", keys.subject(key), key.name, after=facts)
        self.stdout.write(f"A key for {user.get_username()}, named '{key.name}'. It is shown only this once:")
        self.stdout.write(plain)

"""`manage.py sign_in_link USER`: a link for somebody who has no password or has lost it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from predictions import audit, sign_in
from predictions.management.people import named_user


class Command(BaseCommand):
    help = "Print a link that signs USER in once, within 15 minutes."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, **options: Any) -> None:
        user = named_user(options["username"])
        words = "signs in once, within 15 minutes"
        audit.write(audit.command_line(), "make sign-in link", f"user {user.get_username()}", words)
        self.stdout.write(sign_in.link(user))

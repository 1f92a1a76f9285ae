"""`manage.py register_model`: try a model file and, if it works, list it under MODEL_DIR with its card."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from predictions import audit
from predictions.errors import ModelRefused
from predictions.model_cards import ModelCard
from predictions.worker import registration


class Command(BaseCommand):
    help = (
        "Register a model file: .pt2 of torch.export with a dynamic batch, or TorchScript .pt. "
        "Opening it runs code from it: only files you trust."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Our --version takes the place of Django's, which prints Django's own."""
        return super().create_parser(prog_name, subcommand, conflict_handler="resolve", **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--name", required=True, help="for example digits")
        parser.add_argument("--labels", required=True, help="the classes in order: a,b,c or a file with one a line")
        parser.add_argument("--features", help="the input's columns in order: a,b,c or a file with one a line")
        parser.add_argument(
            "--width", type=int, help="the number of values in a vector, where the columns have no names"
        )
        parser.add_argument(
            "--picture", type=_json, help='{"kind": "image", "rows": 8, "columns": 8, "low": 0, "high": 16}'
        )
        parser.add_argument("--version", type=int, help="the version; the next one if left out")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            card = registration.register(options["file"], _described(options))
        except ModelRefused as refused:
            raise CommandError(str(refused)) from refused
        self._note(card)
        self.stdout.write(
            f"{card.ref} is registered: {card.width} values in, {len(card.labels)} classes out, sha256 {card.sha256}."
        )

    def _note(self, card: ModelCard) -> None:
        """A model is a file: it may be registered before there is a database, which is then said."""
        facts = {"sha256": card.sha256, "width": card.width, "labels": len(card.labels)}
        try:
            audit.write(audit.command_line(), "register model", f"model {card.ref}", "registered", after=facts)
        except DatabaseError as error:
            self.stderr.write(f"{card.ref} could not be noted in the audit: {error}")


def _described(options: dict[str, Any]) -> registration.Described:
    return registration.Described(
        name=options["name"],
        labels=_names(options["labels"]),
        features=_features(options["features"], options["width"]),
        picture=options["picture"],
        version=options["version"],
    )


def _features(given: str | None, width: int | None) -> list[str]:
    if given is None and width is None:
        raise CommandError(
            "Neither --features nor --width is given; one of them must say how many values a vector has."
        )
    features = registration.feature_names(width or 0) if given is None else _names(given)
    if width is not None and width != len(features):
        raise CommandError(f"--width is {width} and --features names {len(features)}; they must be the same.")
    return features


def _json(given: str) -> Any:
    try:
        return json.loads(given)
    except ValueError as error:
        raise ArgumentTypeError(f"'{given[:80]}' is not JSON: {error}") from error


def _names(given: str) -> list[str]:
    """Names from a file, one a line, or from the argument itself, split at commas."""
    file = Path(given)
    names = file.read_text(encoding="utf-8").splitlines() if file.is_file() else given.split(",")
    return [name.strip() for name in names if name.strip()]

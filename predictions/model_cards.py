"""The registry of models on disk: the cards under MODEL_DIR, what is wrong with them, whether a file is its card's."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings

from predictions.card_fields import FIELDS, NAME, VERSION
from predictions.errors import ModelRefused, UnknownModel
from predictions.stamps import Looked, Stamp, stamp_of

MOST_KEPT = 512
REF = re.compile(rf"(?P<name>{NAME.pattern})(?:@(?P<version>{VERSION.pattern}))?")


@dataclass(frozen=True)
class ModelCard:
    name: str
    version: int
    width: int
    labels: tuple[str, ...]
    features: tuple[str, ...]
    picture: dict[str, Any] | None
    examples: tuple[dict[str, Any], ...]
    sha256: str
    file: str
    size_bytes: int
    metrics: dict[str, Any]
    created: str

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def folder(self) -> Path:
        return home() / self.name / str(self.version)

    @property
    def path(self) -> Path:
        return self.folder / self.file

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def home() -> Path:
    return Path(settings.MODEL_DIR)


def cards() -> list[ModelCard]:
    """Every card that can be read, by name, the newest version of each first."""
    readable = (found for found in _all_found() if isinstance(found, ModelCard))
    return sorted(readable, key=lambda card: (card.name, -card.version))


def faults() -> list[str]:
    """A sentence for every card that is left out of `cards()`."""
    return [found for found in _all_found() if isinstance(found, str)]


def default_card() -> ModelCard:
    return card(None)


def card(ref: str | None) -> ModelCard:
    """The card of "name@version", of the newest version of "name", or the default (None). Raises UnknownModel."""
    wanted = settings.DEFAULT_MODEL if ref is None else ref
    kept = _kept.get((settings.MODEL_DIR, wanted))
    return kept[0] if kept and kept[1].still_holds() else _look_up(wanted)


def versions(name: str) -> list[int]:
    """The versions that have a folder, the newest first, whether or not their cards can be read."""
    try:
        names = [entry.name for entry in (home() / name).iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted((int(version) for version in names if VERSION.fullmatch(version)), reverse=True)


def verify(card: ModelCard) -> None:
    """Raise ModelRefused unless the model's file is, byte for byte, the one the card was written for."""
    try:
        actual = sha256_of(card.path)
    except OSError as error:
        raise ModelRefused(
            f"The file {card.path} cannot be read: {error.strerror}. Register it again or restore it."
        ) from error
    if actual != card.sha256:
        raise ModelRefused(
            f"The file {card.path} does not match its card: sha256 {actual} instead of {card.sha256}. "
            "Register it again or restore it."
        )


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def from_json(body: Any) -> ModelCard:
    """The card that a decoded card.json describes. Raises ModelRefused, naming the first field that is wrong."""
    if not isinstance(body, dict):
        raise ModelRefused(f"A card is a JSON object, not {type(body).__name__}.")
    if missing := [field for field in FIELDS if field not in body]:
        raise ModelRefused(f"The card lacks {', '.join(missing)}.")
    for field, (is_right, allowed) in FIELDS.items():
        if not is_right(body[field], body):
            raise ModelRefused(f"The card's {field} is {json.dumps(body[field])[:80]}; {allowed}.")
    fields = {field: body[field] for field in FIELDS}
    return ModelCard(**fields | {many: tuple(fields[many]) for many in ("labels", "features", "examples")})


def _look_up(wanted: str) -> ModelCard:
    parts, looked = REF.fullmatch(wanted), Looked()
    found = parts and _card_of(parts["name"], parts["version"], looked)
    if not found:
        raise UnknownModel(f"The model '{wanted[:80]}' is not known; {_known()}.")
    if looked.is_settled:
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        _kept[settings.MODEL_DIR, wanted] = found, looked
    return found


def _card_of(name: str, version: str | None, looked: Looked) -> ModelCard | None:
    for candidate in [version] if version else _versions(name, looked):
        path = home() / name / str(candidate) / "card.json"
        found = _found_at(path, looked.at(str(path)))
        if isinstance(found, ModelCard):
            return found
    return None


def _versions(name: str, looked: Looked) -> list[int]:
    looked.at(str(home() / name))
    return versions(name)


def _known() -> str:
    refs = [card.ref for card in cards()]
    return f"known are {', '.join(refs)}" if refs else "no model is registered yet: see manage.py register_model"


def _all_found() -> Iterator[ModelCard | str]:
    for path in sorted(home().glob("*/*/card.json")):
        # Folders that start with a dot are models on their way in or out.
        if not any(part.startswith(".") for part in path.parts[-3:]) and (
            found := _found_at(path, stamp_of(str(path)))
        ):
            yield found


def _found_at(path: Path, stamp: Stamp | None) -> ModelCard | str | None:
    """The card at `path`, what is wrong with it, or None where there is none."""
    return stamp and _read(path, *stamp)


@lru_cache(maxsize=MOST_KEPT)
def _read(path: Path, mtime_ns: int, inode: int, size_bytes: int) -> ModelCard | str:
    """Read once for each state of the file: the last three arguments are there to tell the states apart."""
    try:
        card = from_json(json.loads(path.read_bytes()))
    except (ValueError, OSError) as error:
        return f"The card {path} cannot be read: {error}."
    except ModelRefused as refused:
        return f"The card {path} cannot be used. {refused}"
    if path.parts[-3:-1] != (card.name, str(card.version)):
        return f"The card {path} is that of {card.ref}; its folder must be {card.name}/{card.version}."
    return card


# Found by MODEL_DIR and what was asked for, with what was looked at to find it: two stats a request instead of a listing.
_kept: dict[tuple[object, str], tuple[ModelCard, Looked]] = {}

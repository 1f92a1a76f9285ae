"""How a model gets into MODEL_DIR: a file is tried first, then copied beside its card, whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from predictions import model_cards
from predictions.errors import ModelRefused, UnknownModel
from predictions.model_cards import ModelCard
from predictions.worker import runtime


@dataclass(frozen=True)
class Described:
    """What only the person who registers a model can say about it. version None: the next one."""

    name: str
    labels: Sequence[str]
    features: Sequence[str]
    picture: dict[str, Any] | None = None
    version: int | None = None
    examples: Sequence[dict[str, Any]] = ()
    metrics: dict[str, Any] = field(default_factory=dict)


def register(file: Path, described: Described) -> ModelCard:
    """Try the file and install it with its card. Raises ModelRefused with the reason, and then nothing has changed."""
    card = _card_for(file, described)
    _refuse_a_taken_version(card)
    runtime.Model(card, runtime.open_module(file), runtime.device()).try_out(1, 2, runtime.SLICE)
    _install(file, card)
    return card


def feature_names(width: int) -> list[str]:
    """Names for the columns of a model that has none."""
    return [f"f{column}" for column in range(width)]


def _card_for(file: Path, described: Described) -> ModelCard:
    if file.suffix not in runtime.OPENERS or not file.is_file():
        raise ModelRefused(
            f"{file} is not a model; an existing file that ends in .pt2 (torch.export) or .pt (TorchScript) is allowed."
        )
    body = {
        "name": described.name,
        "version": _next_version(described.name) if described.version is None else described.version,
        "width": len(described.features),
        "labels": list(described.labels),
        "features": list(described.features),
        "picture": described.picture,
        "examples": list(described.examples),
        "sha256": model_cards.sha256_of(file),
        "file": f"model{file.suffix}",
        "size_bytes": file.stat().st_size,
        "metrics": described.metrics,
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return model_cards.from_json(body)


def _refuse_a_taken_version(card: ModelCard) -> None:
    """A version that works stays what it is: results name it. One whose card or file is broken may be put right."""
    try:
        existing = model_cards.card(card.ref)
        model_cards.verify(existing)
    except (UnknownModel, ModelRefused):
        return
    free = f"{card.name}@{_next_version(card.name)}"
    raise ModelRefused(f"{card.ref} is registered already; leave the version out to get {free}.")


def _next_version(name: str) -> int:
    return next(iter(model_cards.versions(name)), 0) + 1


def _install(file: Path, card: ModelCard) -> None:
    """Put the folder together beside its place, then rename it: a reader finds a whole model or none."""
    card.folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=card.folder.parent) as beside:
        fresh, old = Path(beside, "new"), Path(beside, "old")
        fresh.mkdir()
        shutil.copyfile(file, fresh / card.file)
        (fresh / "card.json").write_bytes(orjson.dumps(card.as_json(), option=orjson.OPT_INDENT_2))
        if card.folder.exists():
            card.folder.rename(old)
        fresh.rename(card.folder)
    model_cards.verify(card)

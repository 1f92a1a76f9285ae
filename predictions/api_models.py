"""The models as the JSON API lists them: every version on disk, and which of them living workers have loaded."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from django.conf import settings

from predictions import workers
from predictions.model_cards import ModelCard, cards
from predictions.workers import Node

SHOWN = ("version", "width", "labels", "features", "created", "sha256", "size_bytes", "metrics")


def models_json() -> dict[str, Any]:
    nodes = [node for node in workers.nodes() if node.is_ready]
    by_name = groupby(cards(), key=lambda card: card.name)
    return {"items": [_model(name, list(versions), nodes) for name, versions in by_name]}


def _model(name: str, versions: list[ModelCard], nodes: list[Node]) -> dict[str, Any]:
    newest = versions[0]
    return {
        "name": name,
        "default": settings.DEFAULT_MODEL in {name, *(card.ref for card in versions)},
        "width": newest.width,
        "labels": newest.labels,
        "versions": [{"ref": card.ref} | {field: getattr(card, field) for field in SHOWN} for card in versions],
        "served_by": [served for node in nodes for served in _served(node, name)],
    }


def _served(node: Node, name: str) -> list[dict[str, Any]]:
    loaded = {process.model for process in node.processes if process.model_state == "ready"}
    refs = sorted(ref for ref in loaded if ref.partition("@")[0] == name)
    return [{"worker": node.name, "version": int(ref.partition("@")[2]), "queues": node.queues} for ref in refs]

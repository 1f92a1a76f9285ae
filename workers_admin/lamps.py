"""Three lamps say of a worker what its state alone does not: whether its process lives, Celery answers, and the work moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from predictions.workers import LOST_AFTER_S, SILENT_AFTER_S, Node

SLOW_AFTER_S = 10.0
STUCK_AFTER_S = 60.0
SOLO = "solo"
Look = Literal["ok", "waiting", "bad", "off"]
HOW: dict[str, dict[Look, str]] = {
    "lives": {"ok": "", "waiting": "silent; ", "bad": "no; "},
    "moves": {"ok": "", "waiting": "slowly; ", "bad": "no; "},
}
"""So that nobody has to tell it by the colour alone."""


@dataclass(frozen=True)
class Lamp:
    """about: what it says something of; age_s: since when, None where that says nothing."""

    about: str
    look: Look
    words: str
    age_s: float | None = None


def lamps(node: Node) -> tuple[Lamp, Lamp, Lamp]:
    return _lives(node), _answers(node), _moves(node)


def _lives(node: Node) -> Lamp:
    age_s = node.heartbeat_age_s
    look: Look = "bad" if age_s > LOST_AFTER_S else "waiting" if age_s > SILENT_AFTER_S else "ok"
    return Lamp("Process lives", look, f"{HOW['lives'][look]}last heartbeat", age_s)


def _answers(node: Node) -> Lamp:
    """Under solo a task has Celery's loop for itself: that it stands still is no fault then."""
    about, age_s = "Celery answers", node.celery_age_s
    if not node.is_alive or age_s is None:
        return Lamp(about, "off", "not yet" if node.is_alive else "unknown")
    if age_s <= SILENT_AFTER_S:
        return Lamp(about, "ok", "its loop turned", age_s)
    if node.first.pool == SOLO and node.first.job:
        return Lamp(about, "waiting", "once its task ends; its loop turned", age_s)
    return Lamp(about, "bad", "no; its loop turned", age_s)


def _moves(node: Node) -> Lamp:
    about, age_s = "Work moves", node.progress_age_s
    if not node.is_alive:
        return Lamp(about, "off", "unknown")
    if age_s is None:
        return Lamp(about, "off", "nothing in hand")
    look: Look = "bad" if age_s > STUCK_AFTER_S else "waiting" if age_s > SLOW_AFTER_S else "ok"
    return Lamp(about, look, f"{HOW['moves'][look]}last moved", age_s)

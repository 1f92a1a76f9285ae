"""Whether a model can be used now, and by which workers, as they report it themselves."""

from __future__ import annotations

from dataclasses import dataclass

from predictions import workers
from predictions.model_cards import ModelCard
from predictions.pauses import is_paused
from predictions.queues import REALTIME, start_command
from predictions.workers import Node


@dataclass(frozen=True)
class Readiness:
    """status: the chip: ready, paused, loading, failed or offline."""

    status: str
    words: str
    command: str = ""


def readiness(card: ModelCard, queue: str = REALTIME) -> Readiness:
    serving = workers.live_workers(queue)
    if is_paused(queue):
        return Readiness("paused", f"{queue} is paused: what you submit waits until somebody resumes it.")
    if not serving:
        return Readiness(
            "offline", f"No worker serves {queue}: what you submit waits until one does.", start_command(queue)
        )
    if any(node.is_ready for node in serving):
        return Readiness("ready", _where(card, [node for node in serving if holds(node, card.ref)]))
    if faults := [
        process.model_error for node in serving for process in node.processes if process.model_state == "failed"
    ]:
        return Readiness("failed", faults[0])
    return Readiness("loading", "The worker is loading the model; what you submit starts when it is there.")


def holds(node: Node, ref: str) -> bool:
    return any(process.model == ref and process.model_state == "ready" for process in node.processes)


def loaded_on(ref: str) -> list[str]:
    """The names of the living workers whose latest job or start loaded this model."""
    return [node.name for node in workers.nodes() if node.is_alive and holds(node, ref)]


def _where(card: ModelCard, holding: list[Node]) -> str:
    if not holding:
        return f"A worker loads {card.ref} at its first job."
    return f"Loaded on {', '.join(node.name for node in holding)}."

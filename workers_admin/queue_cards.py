"""What the Queues page shows of each queue: how deep it is, how it flows, who serves it, and whether it is paused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from predictions.pauses import Pause, pauses
from predictions.workers import Node
from workers_admin.conditions import MISSING_AFTER_S, Facts
from workers_admin.depths import QueueDepth, parts_not_due
from workers_admin.flows import Flow, drains_in_s, flows


@dataclass(frozen=True)
class QueueCard:
    """drifts_for_s: for how long its messages and its rows have disagreed; None: they do not, or only for a moment.

    drains_in_s: None where nothing goes out. to_follow: parts of files that become due when those before them are done.
    """

    depth: QueueDepth
    flow: Flow
    consumers: list[Node]
    pause: Pause | None
    drains_in_s: float | None
    drifts_for_s: float | None
    to_follow: int

    @property
    def name(self) -> str:
        return self.depth.name

    @property
    def bands(self) -> list[tuple[int, int]]:
        """(priority, messages), most urgent first."""
        return sorted((self.depth.waiting_by_priority or {}).items(), reverse=True)


def cards(facts: Facts) -> list[QueueCard]:
    flowing, paused, lasting_s = flows(), pauses(), drifting(facts)
    return [
        _card(depth, facts.nodes, flowing[depth.name], paused.get(depth.name), lasting_s.get(depth.name))
        for depth in facts.depths
    ]


def _card(
    depth: QueueDepth, known: Sequence[Node], flow: Flow, pause: Pause | None, drifts_for_s: float | None
) -> QueueCard:
    serving = [node for node in known if depth.name in node.queues]
    to_follow = parts_not_due(depth.name)
    drains = None if pause else drains_in_s(depth.name, depth.database_queued + to_follow, flow, serving)
    return QueueCard(depth, flow, serving, pause, drains, drifts_for_s, to_follow)


def drifting(facts: Facts) -> dict[str, float]:
    """For how long, by queue, messages and rows have told different stories, where that is more than a moment."""
    return {name: lasted_s for name, lasted_s in facts.missing_for_s.items() if lasted_s > MISSING_AFTER_S}

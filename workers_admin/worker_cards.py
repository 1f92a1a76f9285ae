"""Each worker as the console shows it: what it does now, and what may be done about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from predictions.workers import Node, Worker

STOPPABLE = ("idle", "busy")
SUMMED = ("processed", "failed", "fenced", "rows_per_s", "cpu_percent", "memory_bytes", "gpu_memory_bytes")


@dataclass(frozen=True)
class JobInHand:
    job_id: str
    pid: int
    since: datetime | None


@dataclass(frozen=True)
class WorkerCard:
    """alone_on: the queues that nobody else serves, so that their jobs would wait."""

    node: Node
    in_hand: list[JobInHand]
    alone_on: list[str]

    @property
    def total(self) -> dict[str, float]:
        """Over all processes of the node."""
        return {name: self.node.total(name) for name in SUMMED}

    @property
    def anchor(self) -> str:
        return anchor(self.node.name)

    @property
    def may_stop(self) -> bool:
        return self.node.state in STOPPABLE

    @property
    def stop_detail(self) -> str:
        """What the confirmation says will happen."""
        hand = (
            "It finishes the job in hand, takes no other, and ends."
            if self.in_hand
            else "It ends within a few seconds."
        )
        wait = f" No other worker serves {' and '.join(self.alone_on)}: jobs there will wait." if self.alone_on else ""
        return f"{hand}{wait} Nothing is lost. Where manage.py up or another supervisor runs it, it is started again."

    @property
    def pids(self) -> list[int]:
        return sorted(process.pid for process in self.node.processes)

    @property
    def models(self) -> list[Worker]:
        """One process for each model and its state."""
        return list({(process.model, process.model_state): process for process in self.node.processes}.values())

    @property
    def devices(self) -> str:
        return ", ".join(sorted({process.device for process in self.node.processes if process.device}))


def anchor(name: str) -> str:
    """The id of a worker's card on the page."""
    return "worker-" + "".join(letter if letter.isalnum() else "-" for letter in name)


def cards(nodes: Iterable[Node]) -> list[WorkerCard]:
    known = list(nodes)
    return [WorkerCard(node, _in_hand(node), _alone_on(node, known)) for node in known]


def _in_hand(node: Node) -> list[JobInHand]:
    return [
        JobInHand(process.job, process.pid, _moment(process.job_since)) for process in node.processes if process.job
    ]


def _moment(epoch_s: float | None) -> datetime | None:
    return None if epoch_s is None else datetime.fromtimestamp(epoch_s, UTC)


def _alone_on(node: Node, known: list[Node]) -> list[str]:
    others = {
        queue
        for other in known
        if other is not node and other.is_alive and other.state != "stopping"
        for queue in other.queues
    }
    return [queue for queue in node.queues if queue not in others]

"""Each worker as the console shows it: what it does now, and what may be done about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from predictions.models import Job
from predictions.queues import QUEUES
from predictions.vitals import LAST_JOBS
from predictions.workers import Node, Worker
from workers_admin import asking, lamps, resizing, serving
from workers_admin.inspection import Answer
from workers_admin.lamps import Lamp
from workers_admin.said import Said, said_of

STOPPABLE = ("idle", "busy")
SUMMED = ("processed", "failed", "fenced", "rows_per_s", "cpu_percent", "memory_bytes", "gpu_memory_bytes")


@dataclass(frozen=True)
class JobInHand:
    job_id: str
    pid: int
    since: datetime | None


@dataclass(frozen=True)
class QueueServed:
    """One that a worker serves, or was asked to. is_wish: it does not do so yet, or it still does though it was asked not to."""

    name: str
    is_served: bool
    is_wish: bool
    drop_detail: str


@dataclass(frozen=True)
class WorkerCard:
    """alone_on: the queues that nobody else serves, so that their jobs would wait. answer: what Celery said of it last."""

    node: Node
    in_hand: list[JobInHand]
    alone_on: list[str]
    last_jobs: list[Job]
    answer: Answer | None

    @property
    def lamps(self) -> tuple[Lamp, ...]:
        return lamps.lamps(self.node)

    @property
    def said(self) -> list[Said]:
        return said_of(self.answer.said) if self.answer else []

    @property
    def may_change(self) -> bool:
        return asking.may_change(self.node)

    @property
    def queues(self) -> list[QueueServed]:
        served, wished = self.node.queues, serving.wished_queues(self.node)
        return [
            QueueServed(name, name in served, (name in served) != (name in wished), self._drop_detail(name))
            for name in [*served, *(name for name in wished if name not in served)]
        ]

    @property
    def may_add(self) -> list[str]:
        return [queue for queue in QUEUES if queue not in serving.wished_queues(self.node)]

    @property
    def may_grow(self) -> bool:
        return self.may_change and self.node.first.may_resize and self.pool_wished < resizing.MOST

    @property
    def may_shrink(self) -> bool:
        return self.may_change and self.node.first.may_resize and self.pool_wished > resizing.LEAST

    @property
    def pool_wished(self) -> int:
        return resizing.wished_size(self.node)

    def _drop_detail(self, queue: str) -> str:
        """What the confirmation says will happen."""
        alone = f" No other worker serves {queue}: its jobs will wait." if queue in self.alone_on else ""
        kept = f"It works off what it has fetched and takes no more from {queue}; nothing is lost."
        return f"{kept}{alone} Started again, it serves the queues of its command line."

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
    def namesakes(self) -> list[int]:
        """Processes of several workers under one name; under prefork one worker has several."""
        going_on = [each.pid for each in self.node.processes if each.pool != "prefork" and each.state != "stopping"]
        return sorted(going_on) if self.node.is_alive and len(going_on) > 1 else []

    @property
    def devices(self) -> str:
        return ", ".join(sorted({process.device for process in self.node.processes if process.device}))

    @property
    def gpu_percent(self) -> float | None:
        """Of the busiest of its GPUs."""
        return max((each.gpu_percent for each in self.node.processes if each.gpu_percent is not None), default=None)

    @property
    def versions(self) -> list[tuple[str, str]]:
        return sorted(self.node.first.versions.items())


def anchor(name: str) -> str:
    """The id of a worker's card on the page."""
    return "worker-" + "".join(letter if letter.isalnum() else "-" for letter in name)


def cards(nodes: Iterable[Node], answers: Mapping[str, Answer]) -> list[WorkerCard]:
    """answers: what Celery said last, by worker."""
    known = list(nodes)
    jobs = _last_jobs(known)
    return [
        WorkerCard(node, _in_hand(node), _alone_on(node, known), jobs.get(node.name, []), answers.get(node.name))
        for node in known
    ]


def _last_jobs(known: list[Node]) -> dict[str, list[Job]]:
    """Of each worker, the latest first. The workers tell which: a look by their name would cost an index on every job."""
    ids = {node.name: _ids(node) for node in known}
    rows = (
        Job.objects.select_related("owner")
        .defer("vector", "summary")
        .in_bulk([job_id for each in ids.values() for job_id in each])
    )
    return {name: [rows[job_id] for job_id in each if job_id in rows] for name, each in ids.items()}


def _ids(node: Node) -> list[UUID]:
    """The ids are UUIDv7: of several processes, what was submitted last comes first."""
    if len(node.processes) == 1:
        return [UUID(job_id) for job_id in reversed(node.first.last_jobs)]
    told = {UUID(job_id) for process in node.processes for job_id in process.last_jobs}
    return sorted(told, reverse=True)[:LAST_JOBS]


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

"""The row each worker process reports, and who lives by it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import models
from django.db.models import F

from predictions.clock import Clock

SILENT_AFTER_S = 6.0
LOST_AFTER_S = 12.0


class Worker(models.Model):
    """One process that runs tasks. Under prefork several share a node name."""

    name = models.CharField(max_length=120)
    pid = models.PositiveIntegerField()
    host = models.CharField(max_length=120)
    queues = models.JSONField(default=list)
    pool = models.CharField(max_length=20, default="solo")
    state = models.CharField(
        max_length=8, default="starting", help_text="starting, idle, busy or stopping, as it says itself"
    )
    device = models.CharField(max_length=40, blank=True)
    model = models.CharField(max_length=120, blank=True)
    model_state = models.CharField(max_length=8, default="loading", help_text="loading, ready or failed")
    model_error = models.CharField(max_length=500, blank=True)
    job = models.CharField(max_length=36, blank=True)
    job_since = models.FloatField(null=True)
    processed = models.PositiveBigIntegerField(default=0)
    failed = models.PositiveBigIntegerField(default=0)
    # db_default: a worker of the release before may still insert its row.
    fenced = models.PositiveBigIntegerField(
        default=0, db_default=0, help_text="results that came after the work was taken from it"
    )
    prefetch = models.PositiveIntegerField(
        default=1, db_default=1, help_text="messages that Celery fetches ahead for it"
    )
    rows_per_s = models.FloatField(default=0)
    cpu_percent = models.FloatField(default=0)
    memory_bytes = models.PositiveBigIntegerField(default=0)
    gpu_memory_bytes = models.PositiveBigIntegerField(null=True)
    gpu_percent = models.FloatField(null=True)
    progress_at = models.FloatField(null=True, help_text="when its work last moved")
    celery_at = models.FloatField(null=True, help_text="when Celery's own loop in it last turned")
    pool_size = models.PositiveSmallIntegerField(default=1, db_default=1, help_text="processes that run tasks")
    may_resize = models.BooleanField(
        default=False, db_default=False, help_text="its pool grows and shrinks when it is asked to"
    )
    last_jobs = models.JSONField(default=list, db_default=[], help_text="ids of what it worked on, the latest last")
    versions = models.JSONField(default=dict, db_default={}, help_text="of python, celery, torch and the product")
    started = models.DateTimeField()
    ended = models.BooleanField(default=False, help_text="it said goodbye")
    stop_asked = models.BooleanField(default=False, help_text="the console asked it to finish and stop")
    queues_asked = models.JSONField(null=True, help_text="the queues it was asked to serve, until it does")
    pool_asked = models.PositiveSmallIntegerField(null=True, help_text="processes it was asked to have, until it has")
    beat_at = models.FloatField()
    given_up = models.BooleanField(
        default=False, db_default=False, help_text="lost: what it had fetched ahead was published again"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["host", "name", "pid"], name="one_row_a_process")]

    def __str__(self) -> str:
        return f"{self.name} [{self.pid}]"


def report(name: str, pid: int, host: str, facts: dict[str, Any]) -> None:
    """Write what a process says of itself, on the database's clock. Whoever reports is not lost."""
    said = {**facts, "beat_at": Clock(), "given_up": False}
    Worker.objects.update_or_create(name=name, pid=pid, host=host, defaults=said)


def say_goodbye(name: str, host: str, pid: int | None = None) -> None:
    """One process ends as planned; pid None: all of the node do."""
    rows = Worker.objects.filter(name=name, host=host)
    (rows if pid is None else rows.filter(pid=pid)).update(ended=True, state="stopping")


def report_node(name: str, host: str, facts: dict[str, Any]) -> None:
    """What the parent of several processes says of them all; each reports itself."""
    Worker.objects.filter(name=name, host=host, ended=False).update(**facts)


def ask_to_stop(name: str, host: str) -> int:
    """Every process of the node reads it with its next heartbeat."""
    return Worker.objects.filter(name=name, host=host, ended=False).update(stop_asked=True)


def ask_for_queues(name: str, host: str, queues: list[str]) -> int:
    """Heard as a request to stop is; it stands until it was done."""
    return Worker.objects.filter(name=name, host=host, ended=False).update(queues_asked=queues)


def ask_for_pool(name: str, host: str, processes: int) -> int:
    return Worker.objects.filter(name=name, host=host, ended=False).update(pool_asked=processes)


@dataclass(frozen=True)
class Wishes:
    """What the console asked of a worker and it has not yet done. None: nothing."""

    stop: bool = False
    queues: list[str] | None = None
    pool_size: int | None = None


def wishes_of(name: str, host: str, pids: Iterable[int]) -> Wishes:
    """Of a worker that is these processes: another of its name, now dead, may have been asked for more."""
    rows = Worker.objects.filter(name=name, host=host, pid__in=list(pids), ended=False).order_by("pk")
    asked = rows.values_list("stop_asked", "queues_asked", "pool_asked").first()
    return Wishes(*asked) if asked else Wishes()


def fulfil(name: str, host: str, **wish: Any) -> None:
    """The worker has done what it was asked; a wish that changed meanwhile stays."""
    Worker.objects.filter(name=name, host=host, **wish).update(**dict.fromkeys(wish))


@dataclass
class Node:
    """A worker as people know it: all processes of one node name, as they look now. now_s: by the database's clock."""

    name: str
    host: str
    state: str
    heartbeat_age_s: float
    processes: list[Worker] = field(default_factory=list)
    now_s: float = 0.0

    @property
    def first(self) -> Worker:
        return self.processes[0]

    @property
    def queues(self) -> list[str]:
        return list(self.first.queues)

    @property
    def is_alive(self) -> bool:
        return self.state not in {"silent", "lost"}

    @property
    def is_ready(self) -> bool:
        return self.is_alive and any(process.model_state == "ready" for process in self.processes)

    @property
    def celery_age_s(self) -> float | None:
        """How long ago Celery's own loop last turned; None: it was never seen to."""
        return self._age_of(max(filter(None, (process.celery_at for process in self.processes)), default=None))

    @property
    def progress_age_s(self) -> float | None:
        """How long the work in hand stands still, of several the longest; None: nothing is in hand."""
        return self._age_of(min((process.progress_at or 0 for process in self.processes if process.job), default=None))

    def _age_of(self, at_s: float | None) -> float | None:
        return None if not at_s else max(0.0, self.now_s - at_s)

    def asked(self, name: str) -> Any:
        """A wish that it has not yet fulfilled; a child that was forked meanwhile knows of none."""
        return next((wish for wish in (getattr(process, name) for process in self.processes) if wish is not None), None)

    def total(self, name: str) -> float:
        return sum(getattr(process, name) or 0 for process in self.processes)


def nodes() -> list[Node]:
    """Every worker that has not said goodbye, by name. A lost one stays in sight until it is dismissed or comes back."""
    by_name: dict[str, list[Worker]] = {}
    for row in Worker.objects.annotate(age=Clock() - F("beat_at")).order_by("name", "beat_at"):
        by_name.setdefault(row.name, []).append(row)
    present = {
        name: [row for row in rows if not row.ended and not _is_replaced(row, rows)] for name, rows in by_name.items()
    }
    return [_node(name, rows) for name, rows in present.items() if rows]


def _is_replaced(row: Worker, namesakes: list[Worker]) -> bool:
    """A process of the same name began after this one was last heard of."""
    return any(
        other.pk != row.pk and other.host == row.host and other.started.timestamp() > row.beat_at for other in namesakes
    )


def live_workers(queue: str) -> list[Node]:
    return [node for node in nodes() if node.is_alive and queue in node.queues]


def _node(name: str, rows: list[Worker]) -> Node:
    ages = [max(0.0, float(vars(row)["age"])) for row in rows]
    living = [row for row, age in zip(rows, ages, strict=True) if age <= LOST_AFTER_S] or rows[-1:]
    living.sort(key=lambda row: row.state != "busy")
    now_s = max(row.beat_at + float(vars(row)["age"]) for row in rows)
    return Node(name, living[0].host, _state(living, min(ages)), min(ages), living, now_s)


def _state(rows: list[Worker], age_s: float) -> str:
    if age_s > LOST_AFTER_S:
        return "lost"
    if age_s > SILENT_AFTER_S:
        return "silent"
    states = {"stopping" if row.stop_asked else row.state for row in rows}
    return next(state for state in ("stopping", "busy", "starting", "idle") if state in states)

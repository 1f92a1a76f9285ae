"""What is wrong now, and what to do about it: pure functions over the facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from predictions.queues import start_command
from predictions.templatetags.job_words import counted, duration
from predictions.ticks import SILENT_AFTER_S
from predictions.workers import Node
from workers_admin.depths import QueueDepth
from workers_admin.worker_cards import anchor

MISSING_AFTER_S = 5.0
SAFE_POLICY = "noeviction"


@dataclass(frozen=True)
class Facts:
    """steward_age_s: None, it never ran. eviction_policy: None, Redis did not tell. missing_for_s: by queue, where any is missing."""

    depths: Sequence[QueueDepth]
    nodes: Sequence[Node]
    steward_age_s: float | None
    redis_address: str = ""
    redis_error: str = ""
    eviction_policy: str | None = SAFE_POLICY
    missing_for_s: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Condition:
    """One line of the strip. command: what to type; href and step: where to go; key tells lines apart."""

    key: str
    words: str
    command: str = ""
    href: str = ""
    step: str = ""
    is_bad: bool = True

    @property
    def anchor(self) -> str:
        return anchor(self.key)


def conditions(facts: Facts) -> list[Condition]:
    """The worst first; empty when all is well."""
    return [
        *_redis_silent(facts),
        *_redis_may_evict(facts),
        *_steward_silent(facts),
        *_without_consumer(facts),
        *_workers_gone(facts),
        *_models_failed(facts),
        *_missing(facts),
    ]


def _redis_silent(facts: Facts) -> Iterator[Condition]:
    if facts.redis_error:
        words = (
            f"{facts.redis_error} Jobs are accepted and wait in the database; nothing is delivered until it is back."
        )
        yield Condition("redis", words, command=f"redis-cli -u {facts.redis_address} ping")


def _redis_may_evict(facts: Facts) -> Iterator[Condition]:
    if facts.eviction_policy not in {None, SAFE_POLICY}:
        words = f"Redis may throw queues away when it is full: its maxmemory-policy is {facts.eviction_policy}, not {SAFE_POLICY}."
        yield Condition(
            "eviction", words, command=f"redis-cli -u {facts.redis_address} config set maxmemory-policy {SAFE_POLICY}"
        )


def _steward_silent(facts: Facts) -> Iterator[Condition]:
    age_s = facts.steward_age_s
    if age_s is None or age_s > SILENT_AFTER_S:
        since = "has never run" if age_s is None else f"has been silent for {duration(age_s)}"
        words = f"The steward {since}: nothing is rescued, published again or expired. Start one:"
        yield Condition("steward", words, command=".venv/bin/python manage.py steward")


def _without_consumer(facts: Facts) -> Iterator[Condition]:
    """A worker that only now starts has not said yet which queues it serves."""
    if any(node.state == "starting" and not node.queues for node in facts.nodes):
        return
    for depth in facts.depths:
        if depth.database_queued and not depth.consumers:
            words = f"{depth.name}: {depth.database_queued:,} waiting, no worker. Start one:"
            yield Condition(f"idle-{depth.name}", words, command=start_command(depth.name))


def _workers_gone(facts: Facts) -> Iterator[Condition]:
    for node in facts.nodes:
        age = duration(node.heartbeat_age_s)
        if node.state == "lost":
            words = f"{node.name} is lost: no heartbeat for {age}. What it held is queued again."
            yield Condition(f"worker-{node.name}", words, href=_card_of(node), step="See the worker")
        elif node.state == "silent":
            words = f"{node.name} is silent: no heartbeat for {age}. It may be frozen, or cannot reach the database."
            yield Condition(f"worker-{node.name}", words, href=_card_of(node), step="See the worker", is_bad=False)


def _card_of(node: Node) -> str:
    return f"/console/workers/#{anchor(node.name)}"


def _models_failed(facts: Facts) -> Iterator[Condition]:
    for node in facts.nodes:
        faults = {process.model_error for process in node.processes if process.model_state == "failed"}
        for fault in sorted(faults) if node.is_alive else ():
            yield Condition(
                f"model-{node.name}", f"{node.name} has no model. {fault}", href="/models/", step="See the models"
            )


def _missing(facts: Facts) -> Iterator[Condition]:
    for depth in facts.depths:
        for_s = facts.missing_for_s.get(depth.name, 0.0)
        if depth.missing and for_s > MISSING_AFTER_S:
            lost = f"{counted(depth.missing, 'message')} missing for {duration(for_s)}"
            words = f"{depth.name}: {lost}: the database published them, and they are nowhere in Redis."
            yield Condition(f"missing-{depth.name}", words, href="/console/queues/", step="See the queues")

"""What is wrong with the work itself: workers, models, queues and the jobs in them."""

from __future__ import annotations

from collections.abc import Iterator

from predictions.queues import start_command
from predictions.templatetags.job_words import counted, duration, percent
from predictions.workers import Node
from workers_admin import trends
from workers_admin.condition import Condition, Facts
from workers_admin.worker_cards import anchor

MISSING = "missing-"
MISSING_AFTER_S = 5.0
GROWN_TO = 20
FAILURES = 0.05
FAILURES_OF = 20


def without_consumer(facts: Facts) -> Iterator[Condition]:
    """A worker that only now starts has not said yet which queues it serves."""
    if any(node.state == "starting" and not node.queues for node in facts.nodes):
        return
    for depth in facts.depths:
        if depth.database_queued and not depth.consumers and not depth.paused:
            words = f"{depth.name}: {depth.database_queued:,} waiting, no worker."
            yield Condition(f"idle-{depth.name}", words, command=_start_command(facts, depth.name), step="Start one:")


def _start_command(facts: Facts, queue: str) -> str:
    return start_command(queue, [node.name for node in facts.nodes])


def workers_gone(facts: Facts) -> Iterator[Condition]:
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


def models_failed(facts: Facts) -> Iterator[Condition]:
    for node in facts.nodes:
        faults = {process.model_error for process in node.processes if process.model_state == "failed"}
        for fault in sorted(faults) if node.is_alive else ():
            yield Condition(
                f"model-{node.name}", f"{node.name} has no model. {fault}", href="/models/", step="See the models"
            )


def scalers_silent(facts: Facts) -> Iterator[Condition]:
    for card in facts.scalers:
        if card.is_silent:
            silent = f"The {card} has been silent for {duration(card.age_s)}"
            words = f"{silent}: the number of workers does not follow what waits."
            key, command = f"scaler-{card.scaler.queue}@{card.scaler.host}", card.scaler.command
            yield Condition(key, words, command=command, step="Start it again:", is_bad=False)


def failing(facts: Facts) -> Iterator[Condition]:
    for queue, points in facts.trends.items():
        failed, ended = trends.failures(points)
        if ended >= FAILURES_OF and failed > FAILURES * ended:
            words = f"{queue}: {failed:,} of {ended:,} jobs failed in 5 min ({percent(failed / ended)})."
            href = f"/jobs/?status=failed&queue={queue}"
            yield Condition(f"failures-{queue}", words, href=href, step="See those that failed")


def missing(facts: Facts) -> Iterator[Condition]:
    for depth in facts.depths:
        for_s = facts.missing_for_s.get(depth.name, 0.0)
        if depth.missing and for_s > MISSING_AFTER_S:
            lost = f"{counted(depth.missing, 'message')} missing for {duration(for_s)}"
            words = f"{depth.name}: {lost}: the database published them, and they are nowhere in Redis."
            yield Condition(f"{MISSING}{depth.name}", words, href="/console/queues/", step="See the queues")


def waiting_long(facts: Facts) -> Iterator[Condition]:
    for depth in facts.depths:
        target_s, oldest_s = facts.wait_targets_s.get(depth.name), depth.oldest_wait_s
        if target_s and oldest_s and oldest_s > target_s and not depth.paused:
            words = f"{depth.name}: a job has waited for {duration(oldest_s)}, longer than the target of {duration(target_s)}."
            yield Condition(f"wait-{depth.name}", words, href="/console/queues/", step="See the queues", is_bad=False)


def growing(facts: Facts) -> Iterator[Condition]:
    for depth in facts.depths:
        grown = trends.growth(facts.trends.get(depth.name, ()))
        if grown and grown[1] >= GROWN_TO and not depth.paused:
            words = f"{depth.name} has grown for 5 min: {grown[0]:,} waited, now {grown[1]:,} do."
            yield Condition(
                f"growing-{depth.name}",
                words,
                command=_start_command(facts, depth.name),
                step="Start one more:",
                is_bad=False,
            )

"""Adds a queue to what a worker serves, or drops one, on a person's word.

The worker is asked by the row it reports, as it is asked to stop: it hears that while it is busy and while Redis is down.
Its consumer then changes what it takes; what it fetched before is worked off, and what comes between goes back to the queue.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from predictions import audit
from predictions.errors import InvalidInput, WrongState
from predictions.live import say
from predictions.queues import QUEUES
from predictions.workers import Node, ask_for_queues
from workers_admin.asking import demand_changeable, named


def add_queue(name: str, queue: str, by: Any, address: str | None = None) -> str:
    """What will happen, in a sentence. Raises NotFound, InvalidInput, WrongState."""
    return _ask(name, queue, by, address, adds=True)


def drop_queue(name: str, queue: str, by: Any, address: str | None = None) -> str:
    """What will happen, in a sentence. Raises NotFound, InvalidInput, WrongState."""
    return _ask(name, queue, by, address, adds=False)


def _ask(name: str, queue: str, by: Any, address: str | None, adds: bool) -> str:
    if queue not in QUEUES:
        raise InvalidInput(f"There is no queue '{queue}'; there are {', '.join(QUEUES)}.")
    outcome = "serves it" if adds else "takes no more from it"
    with transaction.atomic():
        node = demand_changeable(named(name, to_change=True), "serve other queues")
        before = wished_queues(node)
        _demand_change(node, queue, before, adds)
        after = [*before, queue] if adds else [each for each in before if each != queue]
        ask_for_queues(node.name, node.host, after)
        action = "add queue" if adds else "drop queue"
        audit.write(by, action, f"worker {name}", f"{queue}: {outcome}", address, {"queues": before}, {"queues": after})
    say.workers_changed()
    return f"{name} was asked to {'serve' if adds else 'take no more from'} {queue}; its card tells when it does."


def wished_queues(node: Node) -> list[str]:
    """What it will serve once it has done what it was asked."""
    asked = node.asked("queues_asked")
    return node.queues if asked is None else list(asked)


def _demand_change(node: Node, queue: str, before: list[str], adds: bool) -> None:
    if adds == (queue in before):
        raise WrongState(f"{node.name} serves {queue} already." if adds else f"{node.name} does not serve {queue}.")

"""Gives a worker's pool another process or takes one away, on a person's word; only prefork can, and not under Celery's autoscaler."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from predictions import audit
from predictions.errors import InvalidInput, WrongState
from predictions.live import say
from predictions.workers import Node, ask_for_pool
from workers_admin.asking import demand_changeable, named

LEAST, MOST = 1, 64


def grow(name: str, by: Any, address: str | None = None) -> str:
    """What will happen, in a sentence. Raises NotFound, InvalidInput, WrongState."""
    return _ask(name, by, address, 1)


def shrink(name: str, by: Any, address: str | None = None) -> str:
    """What will happen, in a sentence. Raises NotFound, InvalidInput, WrongState."""
    return _ask(name, by, address, -1)


def _ask(name: str, by: Any, address: str | None, more: int) -> str:
    with transaction.atomic():
        node = demand_changeable(named(name, to_change=True), "change its pool")
        _demand_resizable(node)
        before = wished_size(node)
        after = before + more
        if not LEAST <= after <= MOST:
            raise InvalidInput(f"A pool of {after} processes was asked for; {LEAST} to {MOST} are allowed.")
        ask_for_pool(node.name, node.host, after)
        action, outcome = ("grow pool", "grows") if more > 0 else ("shrink pool", "shrinks")
        audit.write(
            by, action, f"worker {name}", f"{outcome} to {after}", address, {"processes": before}, {"processes": after}
        )
    say.workers_changed()
    return f"{name} {outcome} to {after} {'process' if after == 1 else 'processes'}."


def wished_size(node: Node) -> int:
    """What it will be once the worker has done what it was asked."""
    asked = node.asked("pool_asked")
    return node.first.pool_size if asked is None else int(asked)


def _demand_resizable(node: Node) -> None:
    if not node.first.may_resize:
        why = (
            "Celery's autoscaler sets its size"
            if node.first.pool == "prefork"
            else f"it has the pool {node.first.pool}"
        )
        raise WrongState(f"{node.name} cannot change its pool: {why}. Only --pool=prefork without --autoscale can.")

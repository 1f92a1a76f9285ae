"""Finds the worker that a person names, and says no where its state forbids what is asked of it."""

from __future__ import annotations

from predictions.errors import NotFound, WrongState
from predictions.workers import Node, Worker, nodes

ABLE = ("starting", "idle", "busy")


def named(name: str, to_change: bool = False) -> Node:
    """to_change: its rows are locked until the transaction ends, so that of two askers one sees the other. Raises NotFound."""
    if to_change:
        list(Worker.objects.select_for_update().filter(name=name).order_by("pk").values_list("pk"))
    node = next((node for node in nodes() if node.name == name), None)
    if node is None:
        raise NotFound(f"There is no worker called '{name}'.")
    return node


def may_change(node: Node) -> bool:
    """It lives, goes on, and Celery has begun in it: before that nobody knows what it will serve."""
    return node.state in ABLE and node.celery_age_s is not None


def demand_changeable(node: Node, to_do: str) -> Node:
    """Raises WrongState."""
    if not may_change(node):
        state = "starting" if node.state in ABLE else node.state
        raise WrongState(f"{node.name} is {state}; only an idle or busy worker can be asked to {to_do}.")
    return node

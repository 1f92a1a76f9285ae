"""What the console's templates are given, view by view; pages and the websocket render from the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


from predictions.errors import NotFound
from predictions.queues import BATCH, REALTIME, start_command
from predictions.workers import Node, nodes
from workers_admin import incidents, kept_results, notices, recent, worker_cards
from workers_admin.audit_list import AuditList, names
from workers_admin.conditions import MISSING_AFTER_S, Facts, conditions
from workers_admin.depths import QueueDepth
from workers_admin.facts import facts_now
from workers_admin.inspection import asker
from workers_admin.permissions import acts_of
from workers_admin.task_search import TaskSearch

AUDIT_SENT = 20


@dataclass(frozen=True)
class QueueRow:
    """One queue beside the workers that serve it. drifts: its messages and its rows disagree."""

    depth: QueueDepth
    consumers: list[Node]
    drifts: bool

    @property
    def bands(self) -> list[tuple[int, int]]:
        """(priority, messages), most urgent first."""
        return sorted((self.depth.waiting_by_priority or {}).items(), reverse=True)


def console_context(view: str, viewer: Any, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """All that moves on one page of the console. given: the audit's filters. Raises NotFound where there is no such view."""
    views: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
        "overview": _overview,
        "queues": _queues,
        "workers": _workers,
        "results": _results,
        "audit": _audit,
    }
    if view not in views:
        raise NotFound(f"The console has no view '{view}'; it has {', '.join(views)}.")
    shown = {"view": view, "viewer": viewer, "may": acts_of(viewer), "live_partial": f"workers_admin/_{view}_live.html"}
    return shown | views[view](given or {})


def _overview(_: Mapping[str, Any]) -> dict[str, Any]:
    facts = facts_now()
    return {
        "conditions": conditions(facts),
        "depths": facts.depths,
        "nodes": facts.nodes,
        "nodes_up": [node for node in facts.nodes if node.is_alive],
        "nodes_gone": [node for node in facts.nodes if not node.is_alive],
        "took": recent.took(),
        "failures": recent.failures(),
        "running_jobs": recent.running(),
        "running_count": recent.running_count(),
        "failed_jobs": recent.failed(),
        "incidents": incidents.lately(),
        "told_ways": notices.ways(),
    }


def _queues(_: Mapping[str, Any]) -> dict[str, Any]:
    facts = facts_now()
    lacking = drifting(facts)
    return {
        "queues": [_queue_row(depth, facts.nodes, depth.name in lacking) for depth in facts.depths],
        "drifting": lacking,
        "redis_error": facts.redis_error,
        "next_jobs": [job for depth in facts.depths for job in recent.next_in_line(depth.name)],
    }


def _queue_row(depth: QueueDepth, known: Sequence[Node], drifts: bool) -> QueueRow:
    return QueueRow(depth, [node for node in known if depth.name in node.queues], drifts)


def drifting(facts: Facts) -> set[str]:
    """The queues whose messages and rows have told different stories for more than a moment."""
    return {name for name, lasted_s in facts.missing_for_s.items() if lasted_s > MISSING_AFTER_S}


def _workers(_: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "cards": worker_cards.cards(nodes(), asker.look()),
        "inspect_trouble": asker.trouble,
        "commands": [start_command(queue) for queue in (REALTIME, BATCH)],
    }


def _results(given: Mapping[str, Any]) -> dict[str, Any]:
    search = TaskSearch(given)
    return kept_results.policy() | (_found(search) if search.is_asked else kept_results.lists()) | {"search": search}


def _found(search: TaskSearch) -> dict[str, Any]:
    found, seen = search.found()
    return {
        "found": found,
        "how_far": search.how_far(seen),
        "next_url": f"?{search.query(before=str(seen.next))}" if seen.next else "",
        "first_url": f"?{search.query(before='')}" if search.chosen.get("before") else "",
    }


def _audit(given: Mapping[str, Any]) -> dict[str, Any]:
    listed = AuditList(given)
    entries, next_query = listed.page()
    people, actions = names()
    return {
        "listed": listed,
        "entries": entries,
        "newest_last": entries[:AUDIT_SENT][::-1],
        "next_url": f"?{next_query}" if next_query else "",
        "first_url": "" if listed.is_first_page else f"?{listed.query(before='')}",
        "export_query": listed.query(before=""),
        "people": people,
        "actions": actions,
    }

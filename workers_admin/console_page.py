"""What the console's templates are given, view by view; pages and the websocket render from the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from predictions.errors import NotFound
from predictions.queues import BATCH, PRIORITIES, REALTIME, start_command
from predictions.workers import nodes
from workers_admin import incidents, kept_results, notices, overview_cards, queue_cards, recent, worker_cards
from workers_admin.audit_list import AuditList, names
from workers_admin.conditions import conditions
from workers_admin.facts import facts_now
from workers_admin.inspection import asker
from workers_admin.permissions import acts_of
from workers_admin.scaler_cards import scalers_context
from workers_admin.task_search import TaskSearch

AUDIT_SENT = 20


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
        "conditions": incidents.dated(conditions(facts)),
        "queues": overview_cards.cards(facts),
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
    return {
        "queues": queue_cards.cards(facts),
        "drifting": queue_cards.drifting(facts),
        "redis_error": facts.redis_error,
        "next_jobs": [job for queue in (REALTIME, BATCH) for job in recent.next_in_line(queue)],
        "priorities": PRIORITIES[::-1],
    }


def _workers(_: Mapping[str, Any]) -> dict[str, Any]:
    known = nodes()
    return {
        "cards": worker_cards.cards(known, asker.look()),
        "inspect_trouble": asker.trouble,
        "commands": [start_command(queue, [node.name for node in known]) for queue in (REALTIME, BATCH)],
    } | scalers_context()


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

"""What the console's templates are given, view by view; pages and the websocket render from the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings

from predictions.errors import NotFound
from predictions.workers import nodes
from workers_admin import kept_results, recent, worker_cards
from workers_admin.audit_list import AuditList, names
from workers_admin.conditions import Facts, conditions
from workers_admin.facts import facts_now
from workers_admin.permissions import acts_of


def console_context(view: str, viewer: Any, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """All that moves on one page of the console. given: the audit's filters. Raises NotFound where there is no such view."""
    if view not in CONTEXTS:
        raise NotFound(f"The console has no view '{view}'; it has {', '.join(CONTEXTS)}.")
    context = {"view": view, "viewer": viewer, "may": acts_of(viewer), "live_partial": f"workers_admin/_{view}_live.html"}
    return context | CONTEXTS[view](given or {})


def _overview(_: Mapping[str, Any]) -> dict[str, Any]:
    facts = facts_now()
    return {
        "conditions": conditions(facts),
        "depths": facts.depths,
        "drifting": drifting(facts),
        "nodes_up": [node for node in facts.nodes if node.is_alive],
        "nodes_gone": [node for node in facts.nodes if not node.is_alive],
        "took": recent.took(),
        "failures": recent.failures(),
        "running_jobs": recent.running(),
        "running_count": recent.running_count(),
        "failed_jobs": recent.failed(),
    }


def _queues(_: Mapping[str, Any]) -> dict[str, Any]:
    facts = facts_now()
    queues = [
        {
            "depth": depth,
            "drifts": depth.name in drifting(facts),
            "consumers": [node for node in facts.nodes if depth.name in node.queues],
            "next_jobs": recent.next_in_line(depth.name),
        }
        for depth in facts.depths
    ]
    return {"queues": queues, "depths": facts.depths, "redis_error": facts.redis_error}


def _workers(_: Mapping[str, Any]) -> dict[str, Any]:
    return {"cards": worker_cards.cards(nodes())}


def _results(_: Mapping[str, Any]) -> dict[str, Any]:
    expiring, expiring_count = kept_results.expiring()
    return {
        "result_expires_s": settings.RESULT_EXPIRES,
        "history_days": settings.HISTORY_DAYS,
        "expiring_jobs": expiring,
        "expiring_count": expiring_count,
        "kept_jobs": kept_results.kept(),
        "removed": kept_results.removed(),
        "removed_jobs": kept_results.removed_lately(),
    }


def _audit(given: Mapping[str, Any]) -> dict[str, Any]:
    listed = AuditList(given)
    entries, next_query = listed.page()
    people, actions = names()
    return {"listed": listed, "entries": entries, "next_query": next_query, "people": people, "actions": actions}


def drifting(facts: Facts) -> set[str]:
    """The queues of which the database and Redis have told different stories for more than a moment."""
    return {condition.key.removeprefix("missing-") for condition in conditions(facts) if condition.key.startswith("missing-")}


CONTEXTS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "overview": _overview,
    "queues": _queues,
    "workers": _workers,
    "results": _results,
    "audit": _audit,
}

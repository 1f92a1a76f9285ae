"""Which permission each act of the console needs, and so which buttons somebody is shown."""

from __future__ import annotations

from typing import Any

from predictions import rights

SEE = rights.SEE_CONSOLE
REVOKE = rights.REVOKE_ANY_JOB
RETRY = rights.RETRY_ANY_JOB
CHANGE_RESULTS = rights.CHANGE_RESULTS
CHANGE_PRIORITY = rights.CHANGE_PRIORITY
PAUSE_QUEUES = rights.PAUSE_QUEUES
PURGE_QUEUES = rights.PURGE_QUEUES
CONTROL_WORKERS = STOP_WORKERS = DISMISS_WORKERS = rights.CONTROL_WORKERS
EXPORT_AUDIT = rights.EXPORT_AUDIT
ACTS = {
    "revoke": REVOKE,
    "retry": RETRY,
    "change_results": CHANGE_RESULTS,
    "change_priority": CHANGE_PRIORITY,
    "pause_queues": PAUSE_QUEUES,
    "purge_queues": PURGE_QUEUES,
    "stop_workers": STOP_WORKERS,
    "dismiss_workers": DISMISS_WORKERS,
    "control_workers": CONTROL_WORKERS,
    "export_audit": EXPORT_AUDIT,
}


def has(user: Any, permission: str) -> bool:
    return rights.has(user, permission)


def acts_of(user: Any) -> dict[str, bool]:
    """Which buttons `user` is shown; the views ask again."""
    return {act: has(user, permission) for act, permission in ACTS.items()}

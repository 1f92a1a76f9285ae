"""Who may see the console and who may act in it: staff, and whoever holds the matching permission."""

from __future__ import annotations

from typing import Any

SEE = "predictions.see_console"
REVOKE = "predictions.revoke_any_job"
RETRY = "predictions.add_job"
CHANGE_RESULTS = "predictions.change_job"
STOP_WORKERS = "predictions.change_worker"
DISMISS_WORKERS = "predictions.delete_worker"
ACTS = {
    "revoke": REVOKE,
    "retry": RETRY,
    "change_results": CHANGE_RESULTS,
    "stop_workers": STOP_WORKERS,
    "dismiss_workers": DISMISS_WORKERS,
}


def has(user: Any, permission: str) -> bool:
    return bool(user.is_active and (user.is_staff or user.has_perm(permission)))


def acts_of(user: Any) -> dict[str, bool]:
    """Which buttons `user` is shown; the views ask again."""
    return {act: has(user, permission) for act, permission in ACTS.items()}

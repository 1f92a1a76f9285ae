"""Who may do what: our permissions, the ready-made roles, and what somebody without a role may do (docs/roles.md)."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from predictions.errors import LacksPermission

SUBMIT = "predictions.submit_job"
SEE_ANY_JOB = "predictions.see_any_job"
SEE_CONSOLE = "predictions.see_console"
REVOKE_ANY_JOB = "predictions.revoke_any_job"
RETRY_ANY_JOB = "predictions.retry_any_job"
CHANGE_RESULTS = "predictions.change_results"
CHANGE_PRIORITY = "predictions.change_priority"
PAUSE_QUEUES = "predictions.pause_queues"
PURGE_QUEUES = "predictions.purge_queues"
CONTROL_WORKERS = "predictions.control_workers"
EXPORT_AUDIT = "predictions.export_audit"

DEEDS = {
    SUBMIT: "submit jobs",
    SEE_ANY_JOB: "see other people's jobs",
    SEE_CONSOLE: "see the console",
    REVOKE_ANY_JOB: "revoke other people's jobs",
    RETRY_ANY_JOB: "retry other people's jobs",
    CHANGE_RESULTS: "keep and remove results",
    CHANGE_PRIORITY: "change the priority of queued jobs",
    PAUSE_QUEUES: "pause and resume queues",
    PURGE_QUEUES: "purge queues",
    CONTROL_WORKERS: "control workers",
    EXPORT_AUDIT: "export the audit",
}
"""In the order of docs/roles.md. Whoever adds one makes a migration of it, and a line there."""
ALL = frozenset(DEEDS)
AS_PERMISSIONS = [(name.partition(".")[2], f"Can {deed}") for name, deed in DEEDS.items()]

_VIEWER = frozenset({SEE_CONSOLE, SEE_ANY_JOB})
ROLES = {
    "viewer": _VIEWER,
    "submitter": frozenset({SUBMIT}),
    "operator": _VIEWER
    | {REVOKE_ANY_JOB, RETRY_ANY_JOB, CHANGE_RESULTS, CHANGE_PRIORITY, PAUSE_QUEUES, CONTROL_WORKERS},
    "administrator": ALL,
}
EVERYBODY, PERMITTED = "everybody", "permitted"


def of(user: Any) -> frozenset[str]:
    """All that `user` may do. Asked of the database once for each object: who reads a user anew reads their rights anew."""
    known: frozenset[str] | None = getattr(user, "_rights", None)
    if known is None:
        known = user._rights = _read(user)
    return known


def has(user: Any, permission: str) -> bool:
    return permission in of(user)


def demand(user: Any, permission: str) -> None:
    """Raises LacksPermission, with the sentence."""
    if not has(user, permission):
        raise LacksPermission(refusal(permission), permission)


def refusal(permission: str) -> str:
    roles = [role for role, held in ROLES.items() if permission in held]
    have = f"roles {', '.join(roles[:-1])} and {roles[-1]} have" if len(roles) > 1 else f"role {roles[0]} has"
    return f"Your account may not {DEEDS[permission]}. It needs the permission {permission}, which the {have}."


def may_act_on(user: Any, job: Any, on_any: str) -> bool:
    """Whether `user` may revoke or retry `job`: holders of `on_any` any, submitters their own."""
    return has(user, on_any) or (job.owner_id == user.pk and has(user, SUBMIT))


def demand_act_on(user: Any, job: Any, on_any: str) -> None:
    """Raises LacksPermission, with the sentence."""
    if not may_act_on(user, job, on_any):
        lacking = SUBMIT if job.owner_id == user.pk else on_any
        raise LacksPermission(refusal(lacking), lacking)


def _read(user: Any) -> frozenset[str]:
    """A group that grants any of ours is a role, and a role counts as it stands: staff have no more then."""
    if not user.is_active:
        return frozenset()
    if user.is_superuser:
        return ALL
    by_role, alone = ALL.intersection(user.get_group_permissions()), ALL.intersection(user.get_user_permissions())
    return (by_role or _without_role(user)) | alone


def _without_role(user: Any) -> frozenset[str]:
    if user.is_staff:
        return ALL
    return frozenset({SUBMIT}) if settings.SUBMITTERS == EVERYBODY else frozenset()

"""Which buttons somebody is shown; the views ask again."""

from __future__ import annotations

from typing import Any

from django import template

from predictions import rights

register = template.Library()
ON_JOBS = {rights.SUBMIT, rights.REVOKE_ANY_JOB, rights.RETRY_ANY_JOB}


@register.filter
def may(user: Any, deed: str) -> bool:
    """deed: a permission without its app, such as "submit_job"."""
    return rights.has(user, f"predictions.{deed}")


@register.filter
def may_choose_jobs(user: Any) -> bool:
    """Whether there is anything that they could do to the jobs they chose."""
    return not rights.of(user).isdisjoint(ON_JOBS)


@register.filter
def may_revoke_jobs(user: Any) -> bool:
    return not rights.of(user).isdisjoint({rights.SUBMIT, rights.REVOKE_ANY_JOB})


@register.filter
def may_retry_jobs(user: Any) -> bool:
    return not rights.of(user).isdisjoint({rights.SUBMIT, rights.RETRY_ANY_JOB})

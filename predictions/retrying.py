"""Runs a job again, or the rest of it, for whoever may; what is done to somebody else's job is audited."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import transaction

from predictions import audit, rest, rights, submission
from predictions.models import Job

Act = tuple[str, Callable[[Job, Any, str], Job]]
"""What the audit calls it, and what submits the new job."""
RETRY: Act = ("retry", submission.retry)
REST: Act = ("rest", rest.rest)


def again(job: Job, act: Act, by: Any, source: str, address: str | None) -> Job:
    """The new job; it is the owner's. Raises Refused."""
    name, submit = act
    rights.demand_act_on(by, job, rights.RETRY_ANY_JOB)
    with transaction.atomic():
        new = submit(job, by, source)
        if job.owner_id != by.pk:
            after = {"job": str(new.pk), "owner": job.owner.get_username(), "status": new.status}
            audit.write(by, name, f"job {job.pk}", f"queued as {new.pk}", address, {"status": job.status}, after)
    return new

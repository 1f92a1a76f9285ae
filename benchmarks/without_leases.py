"""The worker without claim, lease and fence, to be measured against: whoever has the message works on it. Never for use.

What remains is one transaction that writes the job's end and its TaskResult row, as any history has to.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery.signals import celeryd_after_setup

from inference_site.celery import app

__all__ = ["app"]


@celeryd_after_setup.connect
def strip(**_: Any) -> None:
    from django.db import transaction

    from predictions import leases, outcomes
    from predictions.live import say
    from predictions.models import Job, State
    from predictions.worker.beat import beat

    def claim_job(job_id: UUID, worker: str) -> Any:
        return leases.Claim(Job(pk=job_id, worker=worker), 0)

    def finish(job_id: UUID, attempt: int, ending: Any, **changes: Any) -> Any:
        with transaction.atomic():
            Job.objects.filter(pk=job_id).change(state=ending.state, **outcomes._ended(ending), **changes)
            outcomes.record([Job.objects.get(pk=job_id)], ending)
        say.jobs_changed([job_id])
        return State(ending.state)

    leases.claim_job, outcomes.finish = claim_job, finish
    beat.hold = beat.drop = lambda claim: None  # type: ignore[method-assign]

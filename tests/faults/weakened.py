"""Protections that can be switched off, each by its name, to show that the tests of faults notice.

Run as a program it is a steward without the duties that WITHOUT names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID


def switch_off(names: str) -> None:
    for name in filter(None, names.split(",")):
        PROTECTIONS[name]()


def _no_fence() -> None:
    """A finish that asks neither for the state nor for the attempt."""
    from django.db import transaction

    from predictions import outcomes
    from predictions.models import Job
    from predictions.outcomes import Ending, State

    def finish(job_id: UUID, attempt: int, ending: Any, **changes: Any) -> Any:
        with transaction.atomic():
            Job.objects.filter(pk=job_id).change(state=ending.state, **outcomes._ended(ending), **changes)
            outcomes.record([Job.objects.get(pk=job_id)], ending)
        return ending.state

    def succeed_together(scored: Any) -> set[UUID]:
        for claim, prediction in scored:
            finish(claim.job_id, claim.attempt, Ending(State.SUCCEEDED, result=prediction), done=1)
        return {claim.job_id for claim, _ in scored}

    outcomes.finish, outcomes.succeed_together = finish, succeed_together


def _no_claim() -> None:
    """Whoever has the message works on it."""
    from predictions import leases
    from predictions.clock import Clock
    from predictions.models import Job, State

    def claim_jobs(job_ids: Iterable[UUID], worker: str) -> Any:
        jobs = Job.objects.filter(pk__in=job_ids)
        jobs.change(state=State.RUNNING, worker=worker, lease_until=Clock() + leases.LEASE_S)
        return [leases.VectorClaim(job.pk, job.attempt, job.queue, job.owner_id, job.version) for job in jobs]

    leases.claim_jobs = claim_jobs


def _none_alone() -> None:
    """What died together is tried together again."""
    from predictions import leases

    claim_sql = leases._claim_sql
    leases._claim_sql = lambda count: claim_sql(count).replace("AND crashes = 0", "")


def _no_beat() -> None:
    from predictions import leases

    leases.renew = lambda claims: {claim.key for claim in claims}  # type: ignore[assignment]


def _no_rescue() -> None:
    from predictions import recovery

    recovery.reap = _nothing


def _no_patience() -> None:
    from predictions import recovery

    recovery.Patience.may_reap = lambda self, gap_s: True  # type: ignore[method-assign]


def _no_outbox() -> None:
    from predictions import recovery

    recovery.publish_all_due = lambda sender: 0


def _no_mark() -> None:
    """A Redis that forgot is not noticed."""
    from predictions import recovery

    recovery.publish_what_redis_forgot = lambda: False


def _no_census() -> None:
    from predictions import lost_messages

    lost_messages.Census.check = _nothing  # type: ignore[method-assign]


def _no_giving_back() -> None:
    """A connection that a full Redis refuses to serve stays open, as Celery leaves it."""
    from predictions.worker.consuming import CelerysConsumer, Consumer

    Consumer.connect = CelerysConsumer.connect  # type: ignore[method-assign]


def _nothing(*_: Any) -> int:
    return 0


PROTECTIONS: dict[str, Callable[[], None]] = {
    "fence": _no_fence,
    "claim": _no_claim,
    "alone": _none_alone,
    "beat": _no_beat,
    "rescue": _no_rescue,
    "patience": _no_patience,
    "outbox": _no_outbox,
    "mark": _no_mark,
    "census": _no_census,
    "giving back": _no_giving_back,
}


def main(arguments: Iterable[str] = ("steward",)) -> None:
    import django
    from django.core.management import call_command

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inference_site.settings")
    django.setup()
    switch_off(os.environ["WITHOUT"])
    call_command(*arguments)


if __name__ == "__main__":
    main()

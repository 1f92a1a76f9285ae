"""Revokes many jobs in one act: by set statements, a bounded number in a transaction, and told beforehand and afterwards by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Q

from predictions import audit, outcomes, turns
from predictions.going_on import for_a_moment
from predictions.live import say
from predictions.models import OPEN, Job, JobQuerySet, Kind, State, note_each
from predictions.outcomes import Ending
from predictions.row_locks import despite_deadlocks

AT_ONCE = 500
MOST = 100_000
"""In one act: it holds the ids of all."""
OUTCOMES = NEVER_STARTED, STOPPING, STOPPED, HAD_ENDED = "never started", "stopping", "stopped", "had already ended"
READ = ("state", "kind", "revoke_requested", "attempt", "worker", "created", "started", "finished")


@dataclass(frozen=True)
class Foreseen:
    """What revoking will do to jobs. never: wait; keeps: run and keep finished rows; drops: run and keep nothing.

    stopping: are being stopped already. is_least: more match than one act takes.
    """

    never: int
    keeps: int
    drops: int
    stopping: int
    is_least: bool

    @property
    def number(self) -> int:
        """Of all that are meant, also those that are being stopped already."""
        return min(self.never + self.keeps + self.drops + self.stopping, MOST)

    @property
    def changes(self) -> bool:
        return self.number > self.stopping


@dataclass(frozen=True)
class Act:
    """One person's act. subject: what it is about, as the audit names it; chosen: how they were chosen, in full."""

    by: Any
    address: str | None
    subject: str
    chosen: dict[str, Any] = field(default_factory=dict)


def foresee(jobs: JobQuerySet) -> Foreseen:
    """jobs: open ones. Looks at the oldest 100,000 of them."""
    running = Q(state=State.RUNNING, revoke_requested=False)
    found = jobs.order_by("pk")[: MOST + 1].aggregate(
        never=Count("pk", filter=Q(state=State.QUEUED)),
        keeps=Count("pk", filter=running & Q(kind=Kind.BATCH)),
        drops=Count("pk", filter=running & ~Q(kind=Kind.BATCH)),
        stopping=Count("pk", filter=Q(state=State.RUNNING, revoke_requested=True)),
    )
    return Foreseen(**found, is_least=sum(found.values()) > MOST)


def revoke_selected(job_ids: Sequence[UUID], by: Any, address: str | None = None) -> Counter[str]:
    """Of jobs that somebody chose one by one."""
    subject = f"job {job_ids[0]}" if len(job_ids) == 1 else f"{len(job_ids):,} selected jobs"
    return revoke_many(job_ids, Act(by, address, subject, {"jobs": [str(job_id) for job_id in job_ids]}))


def revoke_many(job_ids: Sequence[UUID], act: Act, gone: int = 0) -> Counter[str]:
    """How many met which of OUTCOMES. gone: jobs of the act that had ended before, beside these."""
    *_, counts = [Counter({HAD_ENDED: gone}), *_revoking(job_ids, act, gone)]
    return +counts


def begin_to_revoke(job_ids: Sequence[UUID], act: Act, gone: int = 0) -> str:
    """The same, in a sentence: of an act that takes longer than a moment what it has done by then. It goes on."""
    return for_a_moment(_sentences(job_ids, act, gone)) or f"{told(Counter({HAD_ENDED: gone}))}."


def _sentences(job_ids: Sequence[UUID], act: Act, gone: int) -> Iterator[str]:
    number = len(set(job_ids)) + gone
    for counts in _revoking(job_ids, act, gone):
        left = number - counts.total()
        yield (
            f"{told(counts)} so far. {left:,} more follow, also when this page is closed."
            if left
            else f"{told(counts)}."
        )


def _revoking(job_ids: Sequence[UUID], act: Act, gone: int) -> Iterator[Counter[str]]:
    """The counts after each transaction.

    An act of one transaction writes one entry into the audit, with the counts. A longer one says in its first
    transaction what is to come, and in its last what came of it.
    """
    counts = Counter({HAD_ENDED: gone})
    ids = sorted(set(job_ids))
    words = f"Revoked by {audit.name_of(act.by)}{f', one of {len(ids):,} jobs' if len(ids) > 1 else ''}"
    parts = [ids[first : first + AT_ONCE] for first in range(0, len(ids), AT_ONCE)]
    for number, part in enumerate(parts, start=1):
        entry = partial(_entry, act, len(ids), is_first=number == 1, is_last=number == len(parts))
        counts = despite_deadlocks(partial(_revoke_part, part, words, counts, entry))
        yield counts


def told(counts: Counter[str]) -> str:
    """As in "12 never started, 3 stopping, 2 had already ended"."""
    return ", ".join(f"{counts[outcome]:,} {outcome}" for outcome in OUTCOMES if counts[outcome])


def _revoke_part(job_ids: list[UUID], words: str, before: Counter[str], entry: Any) -> Counter[str]:
    with transaction.atomic():
        counts = before + Counter(_revoke(job_ids, words))
        entry(counts)
    return counts


def _entry(act: Act, number: int, counts: Counter[str], is_first: bool, is_last: bool) -> None:
    write = partial(audit.write, act.by, "revoke", act.subject, address=act.address, before=act.chosen or None)
    if is_last:
        write(told(counts), after=dict(counts))
    elif is_first:
        write(f"begun: {number:,} jobs, {AT_ONCE} in a transaction")


def _revoke(job_ids: list[UUID], words: str) -> Iterator[str]:
    """Inside a transaction. Whoever would claim, rescue or end one of them waits for it, or was there before.

    words: for the timeline of each, since the audit has one entry for all of them.
    """
    held = list(Job.objects.select_for_update().filter(pk__in=job_ids, state__in=OPEN).order_by("pk").only(*READ))
    queued = [job for job in held if job.state == State.QUEUED]
    running = [job for job in held if job.state == State.RUNNING]
    end_queued(queued)
    stopped = _stop_running(running)
    note_each([job for job in held if not job.revoke_requested], words)
    yield from (STOPPED if job.started else NEVER_STARTED for job in queued)
    yield from (STOPPED if job.pk in stopped else STOPPING for job in running)
    yield from [HAD_ENDED] * (len(job_ids) - len(held))


def end_queued(jobs: list[Job]) -> None:
    """Revoke jobs that wait, whose rows the caller's transaction has locked."""
    if jobs:
        mine = Job.objects.filter(pk__in=[job.pk for job in jobs], state=State.QUEUED)
        mine.change(state=State.REVOKED, revoke_requested=True)
        outcomes.end_many(jobs, Ending(State.REVOKED))


def _stop_running(jobs: list[Job]) -> set[UUID]:
    """Returns those that ended at once: batches of which nobody has a part in hand."""
    asked = [job.pk for job in jobs if not job.revoke_requested]
    if asked:
        Job.objects.filter(pk__in=asked, state=State.RUNNING).change(revoke_requested=True)
        say.jobs_changed(asked)
    return {job.pk for job in turns.end_those_stopped([job for job in jobs if job.kind == Kind.BATCH])}

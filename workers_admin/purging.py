"""Purging a queue: what waits in it ends as revoked, a bounded number in a transaction, and its messages leave Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import redis
from django.db import transaction

from predictions import audit, exports
from predictions.bulk_revocation import AT_ONCE, end_queued
from predictions.errors import InvalidInput, NotFound
from predictions.going_on import for_a_moment
from predictions.live import say
from predictions.models import Export, Job, State, new_id, note_each
from predictions.queues import DEFAULT, QUEUES
from predictions.row_locks import despite_deadlocks
from workers_admin.messages import remove_idle

READ = ("state", "kind", "attempt", "worker", "created", "started", "finished")
PURGED = "Its queue was purged before the file was made."
UNWATCHED = "also when this page is closed; the audit tells what came of it"
UNTOLD = "Redis does not answer, so their messages are still there; a worker drops them unread."


@dataclass(frozen=True)
class Foreseen:
    """What waits and would end, and what runs and would be left alone: jobs, on `default` files to make."""

    waiting: int
    running: int


def foresee(queue: str) -> Foreseen:
    return Foreseen(_count(queue, State.QUEUED), _count(queue, State.RUNNING))


def purge(queue: str, typed: str, by: Any, address: str | None = None) -> str:
    """What was done, in a sentence; what takes longer than a moment goes on. Raises NotFound, InvalidInput.

    What is submitted meanwhile stays, and so does what runs.
    """
    _demand_sure(queue, typed)
    entry = partial(audit.write, by, "purge queue", f"queue {queue}", address=address)
    waiting = foresee(queue).waiting
    with transaction.atomic():
        entry(f"begun: {waiting:,} wait, {AT_ONCE} in a transaction", before={"waiting": waiting})
    return for_a_moment(_sentences(queue, waiting, _end_all(queue, by, partial(_write_end, entry, queue))))


def _sentences(queue: str, waiting: int, ending: Iterator[tuple[int, int | None]]) -> Iterator[str]:
    for ended, running in ending:
        if running is None:
            yield f"{queue}: {_told(queue, ended)} so far, of {waiting:,}. The rest follows, {UNWATCHED}."
        else:
            yield f"{queue}: {_told(queue, ended, running)}. {_messages_gone(queue)}"


def _demand_sure(queue: str, typed: str) -> None:
    if queue not in QUEUES:
        raise NotFound(f"There is no queue '{queue}'; there are {', '.join(QUEUES)}.")
    if typed.strip() != queue:
        raise InvalidInput(f"'{typed.strip()}' was typed; '{queue}' purges it. Nothing was changed.")


def _end_all(queue: str, by: Any, write_end: Callable[[int, int], None]) -> Iterator[tuple[int, int | None]]:
    """After each transaction (ended by then, None). The last one finds fewer than it might take: (ended, running).

    It writes what came of all.
    """
    last, ended = new_id(), 0
    running: int | None = None
    end_some = _fail_some_files if queue == DEFAULT else partial(_revoke_some, queue, last, by)

    def one_transaction() -> tuple[int, int | None]:
        with transaction.atomic():
            number = end_some()
            running = None if number == AT_ONCE else _count(queue, State.RUNNING)
            if running is not None:
                write_end(ended + number, running)
        return number, running

    while running is None:
        number, running = despite_deadlocks(one_transaction)
        ended += number
        yield ended, running


def _revoke_some(queue: str, last: UUID, by: Any) -> int:
    """Whoever would claim one waits for us, or was there before: then it runs, and is left alone."""
    waiting = Job.objects.filter(queue=queue, state=State.QUEUED, pk__lte=last).order_by("pk")
    jobs = list(waiting.select_for_update().only(*READ)[:AT_ONCE])
    if jobs:
        end_queued(jobs)
        note_each(jobs, f"{queue} was purged by {by.get_username()}")
    return len(jobs)


def _fail_some_files() -> int:
    """What waits in `default` are files to be made: whoever asked may ask again."""
    waiting = Export.objects.filter(state=Export.State.QUEUED).order_by("job_id")
    job_ids = list(waiting.values_list("job_id", flat=True)[:AT_ONCE])
    held = Job.objects.select_for_update().filter(pk__in=job_ids).order_by("pk")
    return exports.give_up(list(held.values_list("pk", flat=True)), PURGED)


def _count(queue: str, state: State) -> int:
    """An export's states that are not its end are called as a job's."""
    if queue == DEFAULT:
        return Export.objects.filter(state=state).count()
    return Job.objects.filter(queue=queue, state=state).count()


def _write_end(entry: Any, queue: str, ended: int, running: int) -> None:
    entry(_told(queue, ended, running), after={"ended": ended, "running": running})
    say.workers_changed()


def _told(queue: str, ended: int, running: int = 0) -> str:
    """As in "12 revoked, 3 that run were left alone"."""
    alone = f", {running:,} that {'runs was' if running == 1 else 'run were'} left alone" if running else ""
    return f"{ended:,} {'given up' if queue == DEFAULT else 'revoked'}{alone}"


def _messages_gone(queue: str) -> str:
    try:
        removed = remove_idle(queue)
    except redis.RedisError:
        return UNTOLD
    return f"{removed:,} {'message' if removed == 1 else 'messages'} left Redis."

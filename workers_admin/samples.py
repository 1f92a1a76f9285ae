"""Samples every ten seconds: how each queue stands, and what ended on it since, each job once.

Two stewards may do it at once: what a stretch held is the same for both, and the unique constraint lets one row in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from django.db.models import Count, F, FloatField, Func, Max

from predictions.clock import now_s
from predictions.models import Job, State, first_id_at
from predictions.queues import QUEUES
from workers_admin.depths import QueueDepth, depths
from workers_admin.histograms import bucket_of
from workers_admin.models import Sample
from workers_admin.settling import settled_until
from workers_admin.stretches import GAUGES, Gauges, Stretch

EVERY_S = 10
KEPT_S = 6 * 3600
AT_ONCE = 60
READ_AT_ONCE = 2_000
OUTCOMES: dict[str, str] = {
    State.SUCCEEDED: "succeeded",
    State.EXPIRED: "succeeded",
    State.FAILED: "failed",
    State.REVOKED: "revoked",
}
# (queue, model); the model is "" for the queue as a whole.
Key = tuple[str, str]
Stretches = dict[Key, Stretch]


class Difference(Func):
    """The first moment less the second, in seconds, told by the database: to parse 1,500 times a second would cost more than all else."""

    output_field = FloatField()
    arity = 2

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "((julianday(%(expressions)s)) * 86400.0)"  # exact to the millisecond
        return self.as_sql(compiler, connection, template=template, arg_joiner=") - julianday(", **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "(extract(epoch from %(expressions)s)::double precision)"
        return self.as_sql(compiler, connection, template=template, arg_joiner=" - ", **context)


def sample() -> int:
    """Write the stretches that have settled since the last one, the oldest first, at most 60; returns how many.

    For a time when no steward ran, what ended is read from the history; how the queues stood then, nobody knows.
    """
    if not _may_be_due():
        return 0
    end = _whole(settled_until())
    written = _last_before(end)
    first = end - EVERY_S if written is None else max(end - KEPT_S, written + EVERY_S)
    stretches = range(first, end, EVERY_S)[:AT_ONCE]
    for at in stretches:
        write(EVERY_S, at, _sampled(at, depths() if at + EVERY_S == end else []))
    return len(stretches)


def _may_be_due() -> bool:
    """To ask what has settled is a turn to write: not before the next stretch has ended."""
    now = now_s()
    written = _last_before(now)
    return written is None or now >= written + 2 * EVERY_S


def _last_before(moment_s: float) -> int | None:
    last: int | None = Sample.objects.filter(every_s=EVERY_S, at__lt=moment_s).aggregate(at=Max("at"))["at"]
    return last


def write(every_s: int, at: int, stretches: Stretches) -> None:
    rows = [stretch.as_sample(every_s, at, *key) for key, stretch in stretches.items()]
    Sample.objects.bulk_create(rows, ignore_conflicts=True)


def _whole(moment_s: float) -> int:
    return int(moment_s // EVERY_S) * EVERY_S


def _sampled(at: int, standing: Iterable[QueueDepth]) -> Stretches:
    """Every queue, and each model that had anything to do on it."""
    found: Stretches = {(queue, ""): Stretch() for queue in QUEUES}
    for depth in standing:
        found[depth.name, ""].gauges = _gauges(depth)
    for key, stretch in _counted(at):
        found.setdefault(key, Stretch()).add(stretch)
        found.setdefault((key[0], ""), Stretch()).add(stretch)
    return found


def _gauges(depth: QueueDepth) -> Gauges:
    stood = asdict(depth) | {"workers": depth.consumers}
    return {name: stood[name] for name in GAUGES}


def _counted(at: int) -> Iterator[tuple[Key, Stretch]]:
    for queue, model, number in _submitted(at):
        stretch = Stretch()
        stretch.counts["submitted"] = number
        yield (queue, model), stretch
    yield from _ended(at).items()


def _submitted(at: int) -> Iterable[tuple[str, str, int]]:
    """By their ids, which tell when they were made."""
    first, end = (first_id_at(_moment(second)) for second in (at, at + EVERY_S))
    made = Job.objects.filter(pk__gte=first, pk__lt=end)
    return made.values_list("queue", "model").annotate(number=Count("pk")).order_by()


def _ended(at: int) -> Stretches:
    """Read row by row, so that ten thousand cost time and no memory."""
    found: Stretches = {}
    ended = Job.objects.filter(finished__gte=_moment(at), finished__lt=_moment(at + EVERY_S)).order_by()
    waited, ran = Difference(F("started"), F("created")), Difference(F("finished"), F("started"))
    rows = ended.annotate(waited=waited, ran=ran).values_list("queue", "model", "state", "waited", "ran", "micro_batch")
    for queue, model, state, waited_s, ran_s, micro_batch in rows.iterator(READ_AT_ONCE):
        stretch = found.get((queue, model)) or found.setdefault((queue, model), Stretch())
        stretch.counts[OUTCOMES[state]] += 1
        if waited_s is not None:
            stretch.count("waits", bucket_of(waited_s))
        if ran_s is not None:
            stretch.count("runs", bucket_of(ran_s))
        if micro_batch:
            stretch.count("micro_batches", micro_batch)
    return found


def _moment(epoch_s: int) -> datetime:
    return datetime.fromtimestamp(epoch_s, UTC)

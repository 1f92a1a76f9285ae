"""The row that each autoscaler reports itself by: one an autoscaler, one autoscaler a queue and host."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from django.db.models import QuerySet
from django.db.models.functions import Now

from predictions.clock import Clock
from workers_admin import launching
from workers_admin.autoscaling import Rules
from workers_admin.launching import Launched
from workers_admin.models import Scaler

SILENT_AFTER_S = 12.0
DAY_S = 24 * 3600.0


class AlreadyRuns(Exception):
    """An autoscaler of this queue runs on this host; `pid` says which."""

    def __init__(self, pid: int) -> None:
        super().__init__(pid)
        self.pid = pid


def register(queue: str, rules: Rules, is_dry_run: bool, gpus: Sequence[str] = ()) -> Scaler:
    """Our row. Raises AlreadyRuns: whoever finds another after his own row is there gives way, so never two stay."""
    _forget_old()
    Scaler.objects.filter(queue=queue, host=launching.host(), pid=os.getpid()).delete()  # a number is used again
    row = Scaler.objects.create(
        queue=queue,
        host=launching.host(),
        pid=os.getpid(),
        least=rules.least,
        most=rules.most,
        threshold=rules.threshold,
        is_dry_run=is_dry_run,
        command=start_command(queue, rules, gpus),
        beat_at=Clock(),
    )
    for other in _others(row) if not is_dry_run else ():
        if launching.is_autoscaler(other.pid, queue):
            row.delete()
            raise AlreadyRuns(other.pid)
    return row


def start_command(queue: str, rules: Rules, gpus: Sequence[str]) -> str:
    """What an operator types to start it again as it was."""
    words = [".venv/bin/python manage.py autoscale", f"--queue {queue} --min {rules.least} --max {rules.most}"]
    words += [f"--threshold {rules.threshold} --idle {rules.idle_s:g} --cool-down {rules.cool_down_s:g}"]
    return " ".join([*words, *([f"--gpus {','.join(gpus)}"] if gpus else [])])


def left_behind(row: Scaler) -> list[Launched]:
    """The workers of autoscalers of this queue and host that died without an end; they are ours from now on."""
    found: list[Launched] = []
    for other in _others(row):
        found += launching.find(other.workers)
        other.delete()
    return found


def _others(row: Scaler) -> QuerySet[Scaler]:
    return _deciding(row.queue).filter(host=row.host).exclude(pk=row.pk)


def lock(queue: str) -> None:
    """Inside a transaction: no other autoscaler of this queue, on whatever host, decides until it ends."""
    list(_deciding(queue).select_for_update().order_by("pk"))


def coming_elsewhere(mine: Scaler, reported: set[str]) -> list[str]:
    """Names of workers that autoscalers on other hosts have begun to start and that have not reported yet."""
    living = _deciding(mine.queue).exclude(pk=mine.pk).filter(beat_at__gte=Clock() - SILENT_AFTER_S)
    begun = {each["name"] for row in living for each in row.workers if each["state"] == "starting"}
    return sorted(begun - reported)


def _deciding(queue: str) -> QuerySet[Scaler]:
    return Scaler.objects.filter(queue=queue, ended=False, is_dry_run=False)


def gpus_held_elsewhere(mine: Scaler) -> set[str]:
    """By workers of this host that other autoscalers have started, also by those that still finish for one that has ended."""
    others = Scaler.objects.filter(host=mine.host).exclude(pk=mine.pk)
    workers = (each for row in others for each in row.workers if each["gpu"] is not None)
    return {each["gpu"] for each in workers if each["pid"] is None or launching.is_worker(each["pid"], each["name"])}


def report(row: Scaler, workers: Iterable[Launched], depth: int | None, standing: str, decision: str = "") -> None:
    """What it sees and does now; decision: only where it changes something. One that was dismissed shows itself again."""
    decided = {"decision": decision[:300], "decided": Now()} if decision else {}
    listed = [worker.as_json() for worker in workers]
    Scaler.objects.filter(pk=row.pk).update(
        workers=listed, depth=depth, standing=standing[:300], beat_at=Clock(), ended=False, **decided
    )


def end(row: Scaler, workers: Iterable[Launched]) -> None:
    """Those that still finish their jobs stay in the row."""
    report(row, workers, None, "It has ended.")
    Scaler.objects.filter(pk=row.pk).update(ended=True)


def _forget_old() -> None:
    """Of one that died without an end the row is kept for long: somebody may come to adopt its workers."""
    Scaler.objects.filter(ended=True, beat_at__lt=Clock() - DAY_S).delete()
    Scaler.objects.filter(beat_at__lt=Clock() - 30 * DAY_S).delete()

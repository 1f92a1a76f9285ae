"""One autoscaler at work: it looks, decides by autoscaling.py, writes the decision to its row and the audit, and acts.

A decision and the places that it takes are written in one transaction that holds the rows of all autoscalers of the queue, so two
on different hosts never take the last place both.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Sequence
from itertools import count
from typing import Any

from django.db import transaction

from predictions import audit
from predictions.live import say
from predictions.pauses import paused_queues
from predictions.workers import Node, Worker, ask_to_stop, nodes
from workers_admin import launching, scaler_rows
from workers_admin.autoscaling import (
    IDLE,
    KILLED_AFTER_S,
    LOST,
    NO_MODEL,
    STARTING,
    STOPPING,
    Decision,
    Ended,
    Memory,
    Own,
    Rules,
    Seen,
    decide,
)
from workers_admin.depths import depths, parts_not_due
from workers_admin.launching import Launched

log = logging.getLogger(__name__)
WHO = "autoscaler"
REPORTS_WITHIN_S = 120.0
"""A worker that never reported by then counts as lost; until then it imports torch."""


def depth_of(queue: str) -> int:
    """What waits in every state: published in all bands, delivered and not begun, unpublished, missing; less what is stale.

    That is what the database has queued, also where Redis is down. The parts of batches that are not due yet count as well:
    only one for each living worker is, so one worker alone would never see that there is work for two.
    """
    (due,) = (depth.database_queued for depth in depths() if depth.name == queue)
    return due + parts_not_due(queue)


class Autoscaler:
    """Of one queue. gpus: one worker each; empty, none is assigned."""

    def __init__(self, queue: str, rules: Rules, gpus: Sequence[str] = (), is_dry_run: bool = False) -> None:
        self.queue, self.rules, self.gpus, self.is_dry_run = queue, rules, gpus, is_dry_run
        self.row = scaler_rows.register(queue, rules, is_dry_run, gpus)
        self.workers: list[Launched] = []
        self._memory = Memory()
        self._ended: list[Ended] = []
        self._said = ""
        if not is_dry_run:
            self._adopt()

    def _adopt(self) -> None:
        with transaction.atomic():
            self.workers = scaler_rows.left_behind(self.row)
            for worker in self.workers:
                words = "Its autoscaler had died; it goes on."
                self._audit("adopt worker", worker.name, words, None, {"state": worker.state, "process": worker.pid})
            scaler_rows.report(self.row, self.workers, None, "It begins.")
        for worker in self.workers:
            log.info("Adopts %s, process %s", worker.name, worker.pid)

    def turn(self, now: float) -> Decision:
        """One look and what follows from it. now: seconds of a steady clock. Raises Django's and Redis' errors.

        What is to change anything is decided again while no other autoscaler of the queue can decide.
        """
        depth, new = depth_of(self.queue), list[Launched]()
        self._take_ended()
        decision, memory = self._decide(depth, now)
        if self.is_dry_run or not decision.is_change:
            self._report(decision, depth)
        else:
            with transaction.atomic():
                scaler_rows.lock(self.queue)
                decision, memory = self._decide(depth, now)
                new = self._launches(decision.start)
                self._write(decision, depth, new)
        self._memory, self._ended = memory, []
        self._say(decision)
        if not self.is_dry_run:
            self._act(decision, depth, new)
        return decision

    def _decide(self, depth: int, now: float) -> tuple[Decision, Memory]:
        return decide(self.rules, self._seen(depth), self._memory, now)

    def _take_ended(self) -> None:
        for worker in [worker for worker in self.workers if not worker.is_there]:
            self.workers.remove(worker)
            log.info("%s has ended, exit code %s", worker.name, worker.exit_code)
            if not worker.is_leaving:
                self._ended.append(Ended(worker.name, time.time() - worker.started, worker.exit_code))

    def _seen(self, depth: int) -> Seen:
        known = nodes()
        mine = {worker.name: worker for worker in self.workers}
        own = [self._own(worker, known) for worker in self.workers]
        others = [node.state for node in known if node.name not in mine and self._serves(node) and _is_there(node)]
        coming = scaler_rows.coming_elsewhere(self.row, {node.name for node in known})
        return Seen(
            depth=depth,
            own=own,
            others=others + [STARTING for name in coming if name not in mine],
            ended=tuple(self._ended),
            free_gpus=len(self._free_gpus()) if self.gpus else None,
            is_paused=self.queue in paused_queues(),
        )

    def _serves(self, node: Node) -> bool:
        """Or may soon: a worker that has only begun to start has not said yet which queues it serves."""
        return self.queue in node.queues or (node.state == STARTING and not node.queues)

    def _own(self, worker: Launched, known: Sequence[Node]) -> Own:
        """By its heartbeat and its process. Before the first heartbeat it starts; after its goodbye it stops."""
        age_s = time.time() - worker.started
        node = next((node for node in known if node.name == worker.name and worker.pid in _pids(node)), None)
        if node is not None:
            worker.state = _state(node)
            return Own(worker.name, worker.state, age_s, node.heartbeat_age_s)
        if worker.state != STARTING or worker.is_leaving:
            worker.state = STOPPING
        elif age_s > REPORTS_WITHIN_S:
            return Own(worker.name, LOST, age_s, age_s)
        return Own(worker.name, worker.state, age_s)

    def _free_gpus(self) -> list[str]:
        held = {worker.gpu for worker in self.workers} | scaler_rows.gpus_held_elsewhere(self.row)
        return [gpu for gpu in self.gpus if gpu not in held]

    def _launches(self, number: int) -> list[Launched]:
        """Names that nobody uses now. That of a worker that is gone is used again, so its card goes when the new one reports."""
        taken = {worker.name for worker in self.workers} | {node.name for node in nodes() if _is_there(node)}
        names = (f"{self.queue}-auto{n}@{launching.host()}" for n in count(1))
        free = (name for name in names if name not in taken)
        gpus = self._free_gpus()[:number] if self.gpus else [None] * number
        return [Launched(name, gpu) for gpu, name in zip(gpus, free, strict=False)]

    def _write(self, decision: Decision, depth: int, new: Sequence[Launched]) -> None:
        """In the transaction that decides."""
        for worker in new:
            self._audit("start worker", worker.name, decision.words, None, {"state": STARTING, "gpu": worker.gpu})
        for worker in self._named(decision.drain):
            ask_to_stop(worker.name, launching.host())
            self._audit("drain worker", worker.name, decision.words, {"state": worker.state}, {"state": STOPPING})
        for worker in self._named(decision.kill):
            self._audit("kill worker", worker.name, decision.words, {"state": worker.state}, {"state": "killed"})
        self._report(decision, depth, new)

    def _audit(self, action: str, name: str, words: str, before: Any, after: Any) -> None:
        audit.write(WHO, action, f"worker {name}", words, before=before, after=after)

    def _report(self, decision: Decision, depth: int, new: Sequence[Launched] = ()) -> None:
        """A dry run shows what it would do."""
        words = f"Dry run: {decision.words}" if self.is_dry_run else decision.words
        scaler_rows.report(self.row, [*self.workers, *new], depth, words, words if decision.is_change else "")

    def _say(self, decision: Decision) -> None:
        if decision.is_change or decision.words.partition(":")[0] != self._said.partition(":")[0]:
            log.info("%s%s", "Dry run: " if self.is_dry_run else "", decision.words)
        self._said = decision.words
        if decision.is_change:
            say.workers_changed()

    def _act(self, decision: Decision, depth: int, new: Sequence[Launched]) -> None:
        for worker in new:
            self._start(worker)
        for worker in self._named(decision.drain):
            self._leave(worker)
        for worker in self._named(decision.kill):
            launching.end(worker, signal.SIGKILL)
        if new:
            self._report(decision, depth)

    def _start(self, worker: Launched) -> None:
        try:
            launching.start(worker, self.queue)
        except OSError as error:
            log.error("%s could not be started: %s", worker.name, error)
            self._ended.append(Ended(worker.name, 0.0, error.errno or -1))
        else:
            self.workers.append(worker)
            log.info("%s is process %s; it writes to %s", worker.name, worker.pid, launching.log_of(worker.name))

    def _named(self, names: Sequence[str]) -> list[Launched]:
        return [worker for worker in self.workers if worker.name in names]

    def _leave(self, worker: Launched) -> None:
        """It reads the wish in its row. One that has not reported yet has no row and holds nothing."""
        worker.is_leaving = True
        asked = Worker.objects.filter(name=worker.name, host=launching.host(), stop_asked=True)
        if not asked.filter(pid=worker.pid or 0).exists():
            launching.end(worker, signal.SIGTERM)

    def drain_all(self) -> bool:
        """All of ours finish what they have in hand and end; True, so that one can tell it from an attempt that failed."""
        with transaction.atomic():
            for worker in self.workers:
                ask_to_stop(worker.name, launching.host())
                self._audit(
                    "drain worker", worker.name, "The autoscaler ends.", {"state": worker.state}, {"state": STOPPING}
                )
        for worker in self.workers:
            self._leave(worker)
        return True

    def terminate_all(self) -> None:
        """The same without the database: Celery takes this signal as the wish to finish and stop."""
        for worker in self.workers:
            worker.is_leaving = True
            launching.end(worker, signal.SIGTERM)

    def have_left(self) -> bool:
        """Who has long been lost is killed."""
        self._take_ended()
        if not self.workers:
            return True
        known = nodes()
        for worker in self.workers:
            own = self._own(worker, known)
            if own.state == LOST and own.silent_for_s >= KILLED_AFTER_S:
                launching.end(worker, signal.SIGKILL)
        words = f"It ends when {', '.join(worker.name for worker in self.workers)} have finished."
        scaler_rows.report(self.row, self.workers, None, words)
        return False

    def end(self) -> None:
        scaler_rows.end(self.row, self.workers)


def _pids(node: Node) -> set[int]:
    return {process.pid for process in node.processes}


def _state(node: Node) -> str:
    if node.state == IDLE and not node.is_ready:
        return NO_MODEL
    return node.state


def _is_there(node: Node) -> bool:
    """On this host a worker that was killed is not waited for until its heartbeat is missed."""
    return node.host != launching.host() or any(map(launching.exists, _pids(node)))

"""A Celery pool for workers that own a model: what waits is worked on together, in one process, without a fork.

Celery's own pools take one message at a time, fork (which CUDA does not survive), or answer nothing while they work.
Here the worker's event loop hands over what was delivered; a turn takes the most urgent of it, as many as go together,
at once and without a timer. Short turns run on the loop itself, long ones on one thread, so that the loop goes on
answering. What Celery does for each task – trace, events, acknowledgement – is always done on the loop's thread: its
event dispatcher is not safe from two (facts 5).
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Thread
from typing import Any

from billiard.einfo import ExceptionInfo
from billiard.exceptions import WorkerLostError
from celery import signals
from celery.concurrency.base import BasePool
from celery.exceptions import ImproperlyConfigured
from celery.worker.state import task_ready
from django.conf import settings

from predictions.vitals import vitals
from predictions.worker.bell import Bell
from predictions.worker.pace import Pace
from predictions.worker.together import TogetherTask, settle

log = logging.getLogger(__name__)
SWITCH_INTERVAL_S = 0.0005
"""How soon the loop gets the interpreter back from a busy model thread (facts 59)."""
INLINE_BELOW_S = 0.005
FETCHES_WITHIN_S = 0.002
"""What waits in Redis when a long turn ends is here by then; it is to go together with what has been fetched before."""
NO_PRIORITY = 255
NO_HEADERS: dict[str, Any] = {}


@dataclass(eq=False, slots=True)
class Delivery:
    """A message as Celery hands it to a pool. request: Celery's; trace: what runs the task, once its body is due."""

    request: Any
    trace: Callable[..., Any]
    answered: Callable[[Any], None]
    task: Any
    urgency: int
    group: str | None

    def run(self) -> Any:
        """The task under Celery's trace; its body was decoded when the message came."""
        request = self.request
        request.request_dict.setdefault("headers", NO_HEADERS)  # or Celery looks for some, for a tenth of the trace
        return self.trace(request.type, request.id, request.request_dict, request._payload, None, None)


@dataclass(eq=False, slots=True)
class Turn:
    """What is worked on at once: messages of one group, or a single one of a plain task."""

    deliveries: list[Delivery]
    returned: Any = None
    revoked: set[str] = field(default_factory=set)
    error: Exception | None = None
    took_s: float = 0.0

    @property
    def is_together(self) -> bool:
        return self.deliveries[0].group is not None

    def work(self) -> None:
        """Raises nothing: a thread that ended would leave the worker with a turn that never does."""
        begun = time.perf_counter()
        first = self.deliveries[0]
        try:
            if self.is_together:
                self.revoked = first.task.work_together(
                    [(each.request.id, each.request.args) for each in self.deliveries]
                )
            else:
                self.returned = first.run()
        except Exception as error:
            self._fail(error)
        except BaseException as error:
            self._fail(WorkerLostError(repr(error)))
        self.took_s = time.perf_counter() - begun

    def _fail(self, error: Exception) -> None:
        try:
            raise error
        except Exception:
            self.error, self.returned = error, (1, ExceptionInfo(), 0.0)


class ModelPool(BasePool):
    signal_safe = False
    body_can_be_buffer = True

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if options.get("threads"):
            raise ImproperlyConfigured("This pool needs Celery's event loop: a Redis broker, and not Windows.")
        self.limit = 1
        self._pace = Pace(settings.MICRO_BATCH)
        self._waiting: list[Delivery] = []
        self._turns: SimpleQueue[Turn | None] = SimpleQueue()
        self._done: deque[Turn] = deque()
        self._in_thread: Turn | None = None
        self._bell = Bell()
        self._thread = Thread(target=self._work_in_thread, name="model", daemon=True)
        self._consumer: Any = None
        self._loop: Any = None

    def on_start(self) -> None:
        signals.worker_process_init.send(sender=None)  # no process is forked: this one works
        gc.collect()
        gc.freeze()  # torch and the model are here to stay; looking through them took a third of a second now and then
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._thread.start()

    def register_with_event_loop(self, loop: Any) -> None:
        self._loop = loop
        loop.add_reader(self._bell.fileno(), self.take_turn)

    def serve(self, consumer: Any) -> None:
        """Whose prefetch follows the pace."""
        self._consumer = consumer
        self._follow_pace()

    def on_apply(self, target: Callable[..., Any], *_: Any, callback: Any, accept_callback: Any, **__: Any) -> None:
        """Hold a message until the loop has taken in all that came with it. The callbacks are methods of Celery's request."""
        request = accept_callback.__self__
        task = request.task
        group = task.group_of(request.id, request.args) if isinstance(task, TogetherTask) else None
        urgency = request.delivery_info.get("priority")
        self._waiting.append(
            Delivery(request, target, callback, task, NO_PRIORITY if urgency is None else urgency, group)
        )
        if len(self._waiting) == 1:
            self._bell.ring()

    def on_stop(self) -> None:
        """Finish what was begun. What was not goes back to the broker when Celery closes the channel."""
        self._waiting.clear()
        self._turns.put(None)
        if self._thread.is_alive():
            self._thread.join()
        for turn in self._take_done():
            self._report(turn)

    def terminate_job(self, pid: int, signal: Any = None) -> None:
        """`revoke(terminate=True)`: the job is told to stop by its row (control_revokes.py); no process is killed."""

    def take_turn(self) -> None:
        """In the phase of the loop in which events are handled: what is acknowledged elsewhere lies until the next event.

        The model thread gets its next turn before the last one is reported, and works meanwhile.
        """
        self._bell.silence()
        done = self._take_done()
        fetches_first = bool(done) and not self._pace.reads_ahead and len(self._waiting) < self._pace.at_once
        if self._in_thread is None and not fetches_first and (turn := self._next_turn()):
            self._begin(turn)
        for turn in done:
            self._report(turn)
        if self._waiting and self._in_thread is None:
            if fetches_first:  # what is delivered meanwhile begins it sooner
                self._loop.call_later(FETCHES_WITHIN_S, self._bell.ring)
            else:
                self._bell.ring()  # after whatever else the loop has to do

    def _next_turn(self) -> Turn | None:
        """The most urgent, and what goes together with it; of equals what came first."""
        self._waiting = [each for each in self._waiting if not each.request.revoked()]
        if not self._waiting:
            return None
        self._waiting.sort(key=_urgency)
        first = self._waiting[0]
        if first.group is None:
            taken = [first]
        else:
            taken = [each for each in self._waiting if each.group == first.group and each.task is first.task]
            taken = taken[: self._pace.at_once]
        chosen = set(map(id, taken))
        self._waiting = [each for each in self._waiting if id(each) not in chosen]
        return Turn(taken)

    def _begin(self, turn: Turn) -> None:
        now = time.monotonic()
        for each in turn.deliveries:
            each.request.on_accepted(os.getpid(), now)
        if turn.is_together and _is_short():
            turn.work()
            self._report(turn)
        else:
            self._in_thread = turn
            self._turns.put(turn)
            self._follow_pace()

    def _work_in_thread(self) -> None:
        while turn := self._turns.get():
            turn.work()
            self._done.append(turn)
            self._bell.ring()

    def _take_done(self) -> list[Turn]:
        done = []
        while self._done:
            self._in_thread = None
            done.append(self._done.popleft())
        return done

    def _report(self, turn: Turn) -> None:
        """What Celery does with each task that has run."""
        self._pace.worked(len(turn.deliveries), turn.took_s, turn.is_together)
        self._follow_pace()
        for each in turn.deliveries:
            try:
                if each.request.id in turn.revoked:
                    _drop(each.request)
                else:
                    each.answered(self._outcome(each, turn))
            except Exception:  # the others are to be acknowledged all the same
                log.exception("%s could not be reported", each.request)

    @staticmethod
    def _outcome(delivery: Delivery, turn: Turn) -> Any:
        """What the trace of one task returns."""
        if not turn.is_together:
            return turn.returned
        settle(delivery.request.request_dict, turn.error)
        return delivery.run()

    def _follow_pace(self) -> None:
        """While a long turn is worked on nothing is fetched: what comes then may be more urgent, or another worker free."""
        vitals.prefetch = prefetch = self._pace.prefetch
        if self._in_thread is not None and not self._pace.reads_ahead:
            prefetch = len(self._in_thread.deliveries) + len(self._waiting)
        if self._consumer is not None:
            self._consumer.follow(prefetch)

    def _get_info(self) -> dict[str, Any]:
        """For `celery inspect stats`."""
        return {
            **super()._get_info(),
            "max-concurrency": 1,
            "processes": [os.getpid()],
            "micro-batches": {str(size): count for size, count in sorted(vitals.micro_batches.items())},
            "pass-s": vitals.pass_s,
            "at-once": self._pace.at_once,
            "runs": "inline" if _is_short() else "in a thread",
        }


def _drop(request: Any) -> None:
    """Its job had been revoked: who listens to Celery's events hears so, and not that it succeeded.

    Source: celery.worker.request.Request._announce_revoked.
    """
    task_ready(request)
    request.send_event("task-revoked", terminated=False, signum=None, expired=False)
    request.acknowledge()


def _is_short() -> bool:
    """A forward pass hardly delays whoever asks the worker something meanwhile. Unknown, it may be long."""
    return vitals.pass_s is not None and vitals.pass_s < INLINE_BELOW_S


def _urgency(delivery: Delivery) -> int:
    return delivery.urgency

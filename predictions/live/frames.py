"""Decides when a change goes out: at once after quiet, else in frames of 50 ms, and counters four times a second a job."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

FRAME_S = 0.05
COUNTERS_EVERY_S = 0.25
REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Change:
    """What a hint says of a job; `state` is "revoking" while a running job is being stopped."""

    id: str
    version: int
    owner_id: int
    state: str
    done: int


@dataclass(slots=True)
class _Known:
    """The newest that was heard of a job, and when which state of it went out."""

    newest: Change
    sent_state: str = ""
    sent_at: float = float("-inf")


class Frames:
    """Gathers changes and hands them to `send`, each job once a frame with its newest version."""

    def __init__(self, send: Callable[[list[Change]], None]) -> None:
        self._send = send
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._due: dict[str, float] = {}
        self._sent_at = float("-inf")
        self._timer: asyncio.Handle | None = None
        self._timer_at = 0.0

    def add(self, change: Change) -> None:
        if known := self.remember(change):
            self._due[change.id] = self._when(known)
            self._wake()

    def remember(self, change: Change) -> _Known | None:
        """For when nobody is there to be sent it. None where as much was known before."""
        known = self._known.get(change.id)
        if known is None:
            known = self._known[change.id] = _Known(change)
            self._forget_old()
        elif change.version <= known.newest.version:
            return None
        else:
            known.newest = change
            self._known.move_to_end(change.id)
        return known

    def newest(self, job_id: str) -> Change | None:
        known = self._known.get(job_id)
        return known.newest if known else None

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _when(self, known: _Known) -> float:
        """A new state goes out with the next frame; a counter waits for its turn."""
        is_counter = known.newest.state == known.sent_state
        return known.sent_at + COUNTERS_EVERY_S if is_counter else _now()

    def _wake(self) -> None:
        if not self._due:
            return
        at = max(min(self._due.values()), self._sent_at + FRAME_S)
        if self._timer:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at  # uvloop's handle of a time gone by does not know its own
        self._timer = asyncio.get_running_loop().call_at(at, self._flush)

    def _flush(self) -> None:
        self._timer = None
        now = _now()
        ready = [job_id for job_id, due in self._due.items() if due <= now]
        for job_id in ready:
            del self._due[job_id]
            known = self._known[job_id]
            known.sent_state, known.sent_at = known.newest.state, now
        if ready:
            self._sent_at = now
            self._send([self._known[job_id].newest for job_id in ready])
        self._wake()

    def _forget_old(self) -> None:
        """What was heard longest ago goes first; what still waits to be sent stays."""
        while len(self._known) > REMEMBERED:
            oldest = next(iter(self._known))
            if oldest in self._due:
                return
            del self._known[oldest]


def _now() -> float:
    return asyncio.get_running_loop().time()

"""Starts children, prefixes what they say, starts them again when they die and stops them in order."""

from __future__ import annotations

import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Iterable
from itertools import groupby
from types import FrameType

from inference_site.child import Child

COLOURS = (36, 33, 32, 35, 34, 96, 93, 92)
TICK_S = 0.2


class Log:
    """One line at a time on standard output, each with its speaker's name; in colour on a terminal."""

    def __init__(self) -> None:
        self.colours: dict[str, int] = {}
        self.is_coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def line(self, speaker: str, words: str) -> None:
        colour = self.colours.setdefault(speaker, COLOURS[len(self.colours) % len(COLOURS)])
        prefix = f"\x1b[{colour}m{speaker:<9}\x1b[0m|" if self.is_coloured else f"{speaker:<9}|"
        self._write(f"{prefix} {words}\n")

    def say(self, words: str) -> None:
        """What `up` itself has to say, without a prefix, so that it can be copied and searched for."""
        self._write(f"\x1b[1m{words}\x1b[0m\n" if self.is_coloured else f"{words}\n")

    def _write(self, text: str) -> None:
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError:
            pass  # the terminal has gone; the children are stopped in order all the same


class Supervisor:
    """Single-threaded on purpose: child.py needs that."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.children: list[Child] = []
        self.selector = selectors.DefaultSelector()
        self.signals = 0

    def watch_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._heard)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        self.signals += 1

    @property
    def is_stopping(self) -> bool:
        return self.signals > 0

    def start(self, children: Iterable[Child]) -> None:
        for child in children:
            self.children.append(child)
            self._start(child)

    def _start(self, child: Child) -> None:
        self.selector.register(child.start(), selectors.EVENT_READ, child)

    def turn(self, seconds: float = TICK_S) -> None:
        """One round: pass on what was said, start again what has died."""
        self._listen(seconds)
        for child in self.children:
            if not child.is_running and not child.has_succeeded:
                self._revive(child)

    def run_until(self, is_done: Callable[[], bool], timeout_s: float = float("inf")) -> bool:
        """Takes turns until is_done() or a signal to stop or the time is over; says whether it is done."""
        end = time.monotonic() + timeout_s
        while not (done := is_done()) and not self.is_stopping and time.monotonic() < end:
            self.turn()
        return done

    def _listen(self, seconds: float) -> None:
        for key, _ in self.selector.select(seconds):
            self._pass_on(key.data)

    def _pass_on(self, child: Child) -> None:
        for line in child.read_lines():
            self.log.line(child.name, line)
        if child.at_end:
            self._close(child)

    def _close(self, child: Child) -> None:
        if child.output is not None:
            self.selector.unregister(child.output)
            child.close_output()

    def _hear_out(self, child: Child) -> None:
        """The last words of a process that has ended: what the pipe holds is one read, the end another."""
        for _ in range(2):
            if child.output is not None:
                self._pass_on(child)
        self._close(child)

    def _revive(self, child: Child) -> None:
        if child.start_at is None:
            self._hear_out(child)
            pause_s = child.plan_restart()
            times = f" ({child.failures} times in a row)" if child.failures > 1 else ""
            self.log.say(f"{child.ending()}{times}; it starts again in {pause_s:g} s.")
        elif time.monotonic() >= child.start_at:
            self._start(child)

    def stop(self) -> int:
        """Stops rank by rank; 0 when every child ended by itself, 1 when one had to be killed."""
        self.log.say("Stopping; press Ctrl-C again to force it.")
        asked_before = self.signals
        killed: list[str] = []
        for _, group in groupby(sorted(self.children, key=lambda child: child.stops), key=lambda child: child.stops):
            killed += self._stop_group(list(group), asked_before)
        self.log.say(f"Stopped; {', '.join(killed)} had to be killed." if killed else "Stopped.")
        return 1 if killed else 0

    def _stop_group(self, group: list[Child], asked_before: int) -> list[str]:
        for child in group:
            child.signal(signal.SIGTERM)
        end = time.monotonic() + max(child.grace_s for child in group)
        while any(child.is_running for child in group) and time.monotonic() < end and self.signals == asked_before:
            self._listen(0.05)
        late = [child for child in group if child.is_running]
        for child in late:
            child.signal(signal.SIGKILL)
        for child in group:
            if child.process is not None:
                child.process.wait()
            self._hear_out(child)
        return [child.name for child in late]

"""How much a worker takes at once: as many messages as make a turn at most a quarter of a second longer than one alone would."""

from __future__ import annotations

from predictions.vitals import SMOOTHING

LONGER_S = 0.25
READS_AHEAD_BELOW_S = 0.1
FORGETS = 0.02
"""Of what each further message costs, with each turn of one message: so it is found out again, should that have become less."""


class Pace:
    """Smoothed times. Before the first is known one message is taken; then it doubles as long as more cost little more.

    A pass of a slow model may cost the same for one vector and for 64: then all are taken. Where each costs its own time, a worker must
    not hoard what another could take: with 64 messages fetched ahead an urgent job waited 7.1 s instead of 0.7 s (docs/decisions.md).
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._tried = 0
        self._turn_s: float | None = None
        self._one_s: float | None = None  # a turn of one message
        self._further_s: float | None = None  # what each further message adds to it

    def worked(self, messages: int, took_s: float, is_together: bool) -> None:
        """A turn of so many messages, or of one that cannot go together with others: two of them would take twice as long."""
        self._tried = max(self._tried, messages)
        self._turn_s = _smoothed(self._turn_s, took_s)
        if not is_together:
            self._one_s, self._further_s = _smoothed(self._one_s, took_s), _smoothed(self._further_s, took_s)
        elif messages == 1:
            self._one_s = _smoothed(self._one_s, took_s)
            self._further_s = None if self._further_s is None else self._further_s * (1 - FORGETS)
        else:
            self._one_s = took_s if self._one_s is None else min(self._one_s, took_s)
            self._further_s = _smoothed(self._further_s, (took_s - self._one_s) / (messages - 1))

    @property
    def at_once(self) -> int:
        if self._further_s is None:
            return 1 if self._turn_s is None else min(self._most, 2)
        return min(self._most, 2 * self._tried, 1 + int(LONGER_S / max(self._further_s, 1e-6)))

    @property
    def reads_ahead(self) -> bool:
        """Where turns are short the next one is fetched while this one is worked on, so that the model never waits for it."""
        return self._turn_s is None or self._turn_s < READS_AHEAD_BELOW_S

    @property
    def prefetch(self) -> int:
        return self.at_once * 2 if self.reads_ahead else self.at_once


def _smoothed(before: float | None, now: float) -> float:
    return now if before is None else before + SMOOTHING * (now - before)

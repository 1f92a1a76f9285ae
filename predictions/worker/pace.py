"""How much a worker takes at once: as many messages as it works on in a quarter of a second."""

from __future__ import annotations

from predictions.vitals import SMOOTHING

TAKES_S = 0.25
READS_AHEAD_BELOW_S = 0.02


class Pace:
    """Smoothed times; before the first is known, one message is taken at a time.

    A slow model must not hoard what another worker could take: with 64 messages fetched ahead an urgent job waited
    7.1 s instead of 0.7 s (docs/decisions.md).
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._turn_s: float | None = None
        self._message_s = 0.0

    def worked(self, messages: int, took_s: float) -> None:
        if self._turn_s is None:
            self._turn_s, self._message_s = took_s, took_s / messages
        else:
            self._turn_s += SMOOTHING * (took_s - self._turn_s)
            self._message_s += SMOOTHING * (took_s / messages - self._message_s)

    @property
    def at_once(self) -> int:
        if self._turn_s is None:
            return 1
        return max(1, min(self._most, int(TAKES_S / max(self._message_s, 1e-6))))

    @property
    def prefetch(self) -> int:
        """Where turns are short the next one is fetched while this one is worked on."""
        reads_ahead = self._turn_s is None or self._turn_s < READS_AHEAD_BELOW_S
        return self.at_once * 2 if reads_ahead else self.at_once

"""How long work may take: the limits of each queue, and the exit code of a worker that ended itself past one."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from predictions.queues import BATCH, REALTIME

EXIT_CODE_TIME_LIMIT = 75


@dataclass(frozen=True)
class Limits:
    """hard_s: for what one claim holds, a vector or a chunk. soft_s: for a batch's work in all, by whomever.

    Where soft_s is None there is none: a vector is one pass, with nothing to stop in between.
    """

    hard_s: int
    soft_s: int | None = None

    def is_overworked(self, spent_s: float) -> bool:
        return self.soft_s is not None and spent_s > self.soft_s


def limits_of(queue: str) -> Limits:
    own = {
        REALTIME: Limits(settings.REALTIME_TIME_LIMIT),
        BATCH: Limits(settings.BATCH_TIME_LIMIT, settings.BATCH_SOFT_TIME_LIMIT),
    }
    return own.get(queue) or Limits(settings.TIME_LIMIT)

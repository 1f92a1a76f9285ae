"""The queues, what goes to which, and how a priority is told to the broker."""

from __future__ import annotations

from collections.abc import Collection
from itertools import count

REALTIME = "realtime"
BATCH = "batch"
DEFAULT = "default"
QUEUES = (REALTIME, BATCH, DEFAULT)

MOST_URGENT = 9
PRIORITIES = range(MOST_URGENT + 1)
DEFAULT_PRIORITY = {REALTIME: 9, BATCH: 1}
# Within a priority: those of owners who have many waiting go behind the others (fairness.py).
LANES = (0, 1)

# (priority, lane), the most urgent first: where one stands here is its band, and Redis is asked for the lowest first (facts 1).
BANDS = [(priority, lane) for priority in reversed(PRIORITIES) for lane in LANES]
TRANSPORT_BANDS = list(range(len(BANDS)))
BAND_SEPARATOR = "\x06\x16"


def transport_priority(priority: int, lane: int) -> int:
    """What Celery's `priority` must be so that 9 goes first. priority: 0 to 9; lane: 0 or 1."""
    return len(LANES) * (MOST_URGENT - priority) + lane


def band_key(queue: str, priority: int, lane: int) -> str:
    """The Redis list in which such messages of this queue wait. Source: kombu's redis.Channel._q_for_pri."""
    band = transport_priority(priority, lane)
    return f"{queue}{BAND_SEPARATOR}{band}" if band else queue


# What `--pool=custom` means to Celery; it must be in the environment before celery starts (facts 64).
POOL_VARIABLE = "CELERY_CUSTOM_WORKER_POOL"
POOL = "predictions.worker.pool:ModelPool"


def served_with(queue: str) -> str:
    """What a worker for this queue is given as `-Q`."""
    return f"{BATCH},{DEFAULT}" if queue in {BATCH, DEFAULT} else queue


def start_command(queue: str, taken: Collection[str] = ()) -> str:
    """What an operator types to serve this queue. taken: names of workers; of two with one name, both would hear what one is told."""
    kind = BATCH if queue in {BATCH, DEFAULT} else queue
    used = {name.partition("@")[0] for name in taken}
    name = next(name for number in count(2) if (name := f"{kind}{number}") not in used)
    worker = f".venv/bin/python -m celery -A inference_site worker --pool=custom -Q {served_with(queue)} -n {name}@%h"
    return f"{POOL_VARIABLE}={POOL} {worker}"

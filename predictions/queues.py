"""The queues, what goes to which, and how a priority is told to the broker."""

from __future__ import annotations

REALTIME = "realtime"
BATCH = "batch"
DEFAULT = "default"
QUEUES = (REALTIME, BATCH, DEFAULT)

MOST_URGENT = 9
PRIORITIES = range(MOST_URGENT + 1)
DEFAULT_PRIORITY = {REALTIME: 9, BATCH: 1}

# On Redis the lowest number is taken first (facts 1), so 9 is told as 0; one band for each priority.
TRANSPORT_BANDS = list(PRIORITIES)
BAND_SEPARATOR = "\x06\x16"


def transport_priority(priority: int) -> int:
    """What Celery's `priority` must be so that 9 goes first. priority: 0 to 9."""
    return MOST_URGENT - priority


def band_key(queue: str, priority: int) -> str:
    """The Redis list in which messages of this queue and priority wait. Source: kombu's redis.Channel._q_for_pri."""
    band = transport_priority(priority)
    return f"{queue}{BAND_SEPARATOR}{band}" if band else queue


def start_command(queue: str) -> str:
    """What an operator types to serve this queue."""
    served = "batch,default" if queue in {BATCH, DEFAULT} else queue
    name = BATCH if queue in {BATCH, DEFAULT} else queue
    return f".venv/bin/celery -A inference_site worker --pool=solo -Q {served} -n {name}2@%h"

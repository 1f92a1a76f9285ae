"""Asks workers through Celery whether they answer, and says in how many milliseconds they did."""

from __future__ import annotations

import threading
import time
from typing import Any

from celery import current_app
from celery.exceptions import CeleryError
from django.db import transaction
from kombu.exceptions import KombuError
from redis import RedisError

from predictions import audit
from predictions.errors import WrongState
from predictions.workers import nodes
from workers_admin.asking import named
from workers_admin.inspection import ANSWERS_WITHIN_S, ask

WAITS_S = 2 * ANSWERS_WITHIN_S
UNREACHED = "Redis does not answer, so nobody could be asked"


def ping(name: str, by: Any, address: str | None = None) -> str:
    """Who answered in how many milliseconds. name: empty for all that live. Raises NotFound, WrongState."""
    names = [named(name).name] if name else [node.name for node in nodes() if node.is_alive]
    if not names:
        raise WrongState("No worker lives that could be pinged.")
    outcome = _outcome(names, _times(names))
    with transaction.atomic():
        audit.write(by, "ping", f"worker {name}" if name else "all workers", outcome, address)
    return f"{outcome}."


def _outcome(names: list[str], took_ms: dict[str, float] | None) -> str:
    if took_ms is None:
        return UNREACHED
    answered = [f"{name} answered in {ms:.0f} ms" for name, ms in sorted(took_ms.items())]
    silent = [f"{name} did not answer within {ANSWERS_WITHIN_S:g} s" for name in names if name not in took_ms]
    return "; ".join([*answered, *silent])


def _times(names: list[str]) -> dict[str, float] | None:
    """Milliseconds by worker; None where Redis does not answer. A thread asks: a frozen Redis would hold this one longer."""
    took_ms: dict[str, float] = {}
    reached = threading.Event()

    def work() -> None:
        begun = time.monotonic()
        try:
            with current_app.connection_for_write() as own:
                ask(own, "ping", names, lambda name: took_ms.setdefault(name, (time.monotonic() - begun) * 1000))
            reached.set()
        except (OSError, RedisError, KombuError, CeleryError):
            pass  # not reached

    thread = threading.Thread(target=work, name="ping", daemon=True)
    thread.start()
    thread.join(WAITS_S)
    return dict(took_ms) if reached.is_set() else None

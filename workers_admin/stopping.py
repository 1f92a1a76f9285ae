"""Ends workers, and forgets lost ones and silent autoscalers, on a person's word.

A worker is asked in the database, by the row it reports: it hears that also while it is busy or Redis is down, where a broadcast of
Celery's would wait for the end of the task. The worker then sends itself SIGTERM, Celery's warm shutdown.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from predictions import audit
from predictions.errors import NotFound, WrongState
from predictions.live import say
from predictions.workers import Worker, ask_to_stop
from workers_admin.asking import named
from workers_admin.models import Scaler
from workers_admin.scaler_cards import scaler_cards
from workers_admin.worker_cards import STOPPABLE


def finish_and_stop(name: str, by: Any, address: str | None = None) -> str:
    """What will happen, in a sentence. Raises NotFound, WrongState."""
    node = named(name)
    if node.state not in STOPPABLE:
        raise WrongState(f"{name} is {node.state}; only an idle or busy worker can be asked to finish and stop.")
    outcome = "finishes the job in hand, then stops" if node.state == "busy" else "stops now"
    with transaction.atomic():
        ask_to_stop(name, node.host)
        audit.write(by, "stop worker", f"worker {name}", outcome, address, {"state": node.state}, {"state": "stopping"})
    say.workers_changed()
    return f"{name} {outcome}."


def dismiss(name: str, by: Any, address: str | None = None) -> str:
    """Take a lost worker out of sight; it shows itself again should it come back. Raises NotFound, WrongState."""
    node = named(name)
    if node.state != "lost":
        raise WrongState(f"{name} is {node.state}; only a lost worker can be dismissed.")
    with transaction.atomic():
        Worker.objects.filter(name=name, host=node.host).delete()
        audit.write(by, "dismiss worker", f"worker {name}", "dismissed", address, {"state": node.state}, {})
    say.workers_changed()
    return f"{name} is dismissed. Should it come back, it is listed again."


def dismiss_scaler(number: str, by: Any, address: str | None = None) -> str:
    """Take a silent autoscaler out of sight. number: of its row. Raises NotFound, WrongState."""
    card = next((card for card in scaler_cards() if str(card.scaler.pk) == number), None)
    if card is None:
        raise NotFound("That autoscaler is no longer listed: it has ended, or another has taken its place.")
    if not card.is_silent:
        raise WrongState(f"The {card} reports; only a silent one can be dismissed. Ctrl-C or SIGTERM ends it.")
    with transaction.atomic():
        Scaler.objects.filter(pk=card.scaler.pk).update(ended=True)
        subject = f"autoscaler {card.scaler.queue}@{card.scaler.host}"
        audit.write(by, "dismiss autoscaler", subject, "dismissed", address, {"state": "silent"}, {})
    say.workers_changed()
    return f"The {card} is dismissed. Should it come back, it is listed again."

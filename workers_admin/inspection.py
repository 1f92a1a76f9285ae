"""What Celery itself says of its workers, asked in the background while somebody looks; a page is never kept waiting.

A frozen Redis or worker costs nothing but the age of what is shown.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from celery import current_app
from django.db import connection

from predictions.workers import nodes

QUESTIONS = ("active", "reserved", "scheduled", "revoked", "registered")
EVERY_S = 5.0
AFTER_TROUBLE_S = 30.0
"""Each new connection to a frozen Redis stays in its queue of connections, which is soon full (redis_look.py)."""
LOOKED_AT_FOR_S = 10.0
ANSWERS_WITHIN_S = 1.0
Replies = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What one worker said to each question, and when."""

    at: float
    said: Replies = field(default_factory=dict)

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.at


class Asker:
    """One thread a process, which ends when nobody looks any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looked_at = 0.0
        self._thread: threading.Thread | None = None
        self._answers: dict[str, Answer] = {}
        self.trouble = ""

    def look(self) -> dict[str, Answer]:
        """The latest of each worker, by its name; asks on for as long as somebody looks."""
        with self._lock:
            self._looked_at = time.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="inspect", daemon=True)
                self._thread.start()
            return dict(self._answers)

    def _run(self) -> None:
        while self._is_looked_at():
            try:
                self._ask()
                self.trouble = ""
            except Exception as error:  # whatever a broken connection raises
                self.trouble = f"Celery could not be asked: {error}"
            finally:
                connection.close()
            time.sleep(AFTER_TROUBLE_S if self.trouble else EVERY_S)

    def _is_looked_at(self) -> bool:
        """Where it is not, whoever looks next starts another thread."""
        with self._lock:
            if time.monotonic() - self._looked_at > LOOKED_AT_FOR_S:
                self._thread = None
            return self._thread is not None

    def _ask(self) -> None:
        living = [node.name for node in nodes() if node.is_alive]
        said: dict[str, Replies] = {}
        if living:
            with current_app.connection_for_write() as own:
                for question in QUESTIONS:
                    for name, reply in ask(own, question, living):
                        said.setdefault(name, {})[question] = reply
        now = time.monotonic()
        with self._lock:
            fresh = {name: Answer(now, replies) for name, replies in said.items()}
            self._answers = {name: answer for name, answer in self._answers.items() if name in living} | fresh


def ask(
    connection: Any, question: str, workers: list[str], heard: Callable[[str], object] | None = None
) -> list[tuple[str, Any]]:
    """(worker, reply) of each that answers within a second. heard: called with a name the moment its answer comes.

    connection: Celery's, the caller's own, so that nobody else waits for it.
    """
    replies: list[tuple[str, Any]] = []

    def take(body: Replies) -> None:
        for name, reply in body.items():
            replies.append((name, reply))
            if heard:
                heard(name)

    current_app.control.broadcast(
        question,
        destination=workers,
        connection=connection,
        reply=True,
        timeout=ANSWERS_WITHIN_S,
        limit=len(workers),
        callback=take,
    )
    return replies


asker = Asker()

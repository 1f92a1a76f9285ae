"""Tasks of which several are worked on at once by our pool, before Celery traces each of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from celery import Task

SETTLED = "settled"
_mark = object()


class TogetherTask(Task):
    """A task whose messages are worked on together where they are of one group."""

    abstract = True

    @abstractmethod
    def group_of(self, task_id: str, args: Sequence[Any]) -> str | None:
        """What those that go together have in common; None for a message that is to be worked on by itself."""

    @abstractmethod
    def work_together(self, messages: Sequence[tuple[str, Sequence[Any]]]) -> set[str]:
        """messages: (task id, args) of each; all of one group. Returns the ids of those that had been revoked and were not run."""


def settle(request: dict[str, Any], error: Exception | None) -> None:
    """Before its trace: the work of this request was done, or failed with `error`."""
    request[SETTLED] = error or _mark


def is_settled(request: Any) -> bool:
    """Whether the task's own body has nothing left to do. Raises what the work failed with."""
    outcome = request.get(SETTLED)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome is _mark

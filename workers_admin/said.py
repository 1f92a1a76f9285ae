"""What Celery's `inspect` said of a worker, as the console shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

SHOWN = 10


@dataclass(frozen=True)
class Item:
    """A task or a word. job_id: empty where it is no job of ours."""

    words: str
    job_id: str = ""


@dataclass(frozen=True)
class Said:
    """The answer to one question; None: it did not answer this one."""

    question: str
    items: list[Item] | None

    @property
    def shown(self) -> list[Item]:
        return (self.items or [])[:SHOWN]

    @property
    def more(self) -> int:
        return max(0, len(self.items or []) - SHOWN)


def said_of(replies: Mapping[str, Any]) -> list[Said]:
    return [
        Said("active", _tasks(replies.get("active"))),
        Said("reserved", _tasks(replies.get("reserved"))),
        Said("scheduled", _tasks(_requests(replies.get("scheduled")))),
        Said("revoked", _words(replies.get("revoked"))),
        Said("registered", _words(replies.get("registered"))),
    ]


def _requests(scheduled: Any) -> Any:
    return [each.get("request", {}) for each in scheduled] if isinstance(scheduled, list) else scheduled


def _tasks(reply: Any) -> list[Item] | None:
    """A worker that cannot answer says so in a dictionary."""
    return [_item(task) for task in reply] if isinstance(reply, list) else None


def _item(task: Mapping[str, Any]) -> Item:
    """The task of a part of a batch has an id of its own; the first of its arguments is the job's."""
    name = str(task.get("name", "a task")).rsplit(".", 1)[-1]
    ids = [str(task.get("id", "")), *map(str, _arguments(task)[:1])]
    return Item(name, next(filter(_is_uuid, reversed(ids)), ""))


def _arguments(task: Mapping[str, Any]) -> list[Any]:
    args = task.get("args")
    return list(args) if isinstance(args, Iterable) and not isinstance(args, str) else []


def _words(reply: Any) -> list[Item] | None:
    if not isinstance(reply, list):
        return None
    return [Item("", word) if _is_uuid(word) else Item(word) for word in map(str, reply)]


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True

"""What a socket shows: messages about things, built from the database for all who see the same."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from predictions import rights

# hx-ws comes back after codes of the 1011 to 1014 kind and stays away after any other.
FAILED, FELL_BEHIND = 1011, 1013
NOT_SIGNED_IN, NOT_PERMITTED, NOT_FOUND, RIGHTS_CHANGED = 4401, 4403, 4404, 4409


class Closed(Exception):
    """The socket is to be closed with a code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Message:
    """One websocket message. about: what it shows, of which only the newest counts; "": it adds to what was said before."""

    about: str
    text: str

    def says_something(self) -> bool:
        return bool(self.text.strip())


class Screen(ABC):
    """What the sockets of one audience show. Its methods run in a thread, one at a time, and may use the database."""

    refresh_s = 10.0
    quiet_refresh_s = 10.0
    news_shows_all = False  # what `after` builds is all there is: it need not be looked at again so soon
    pace_s = 0.0
    owes_at = math.inf  # by time.monotonic(): when `owed` is to be asked, though there is no news
    audience: str  # whose changes it hears of, as the hub names them

    def __init__(self, viewer: Any, query: dict[str, str]) -> None:
        self.viewer = viewer
        self.query = query
        self._held = rights.of(viewer)  # read here, in a thread: what follows is asked in the event loop

    @abstractmethod
    def first(self) -> Sequence[Message]:
        """A snapshot of all that the page shows."""

    @abstractmethod
    def after(self, ids: Sequence[UUID]) -> Sequence[Message]:
        """What is different now that these jobs have changed."""

    def later(self) -> Sequence[Message]:
        """What may have become different without news."""
        return self.first()

    def owed(self) -> Sequence[Message]:
        """What `after` left out, because it had been said a moment before."""
        return []

    @property
    def seen_by(self) -> Hashable:
        """Viewers of whom this is the same see the same."""
        return self.viewer.pk, self._held

    @property
    def key(self) -> Hashable:
        """Equal for screens that show the same."""
        return type(self), self.seen_by, self.audience, tuple(sorted(self.query.items()))

    @property
    def rights(self) -> Hashable:
        return self.audience, self._held

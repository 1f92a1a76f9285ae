"""What a socket has still to be sent, and how the same is sent to many sockets without one of them holding up another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from predictions.live.screen import FELL_BEHIND, Closed, Message

SEND_WITHIN_S = 10.0
MOST_WAITING = 1_000
SENT_AT_A_STRETCH = 100
Event = dict[str, Any]
Send = Callable[[Event], Awaitable[None]]
BEHIND = "The messages were not read. Connect again for a snapshot."


class Outbox:
    """One socket's messages that the server has not taken yet: the newest about each thing. The events are everybody's."""

    def __init__(self, send: Send) -> None:
        self.closing: asyncio.Future[Closed] = asyncio.get_running_loop().create_future()
        self._send = send
        self._waiting: dict[object, Event] = {}
        self._is_sending = False
        self._limit: asyncio.TimerHandle | None = None

    def put(self, events: Mapping[object, Event]) -> bool:
        """True where somebody has to call `send_all` now."""
        if self.closing.done():
            return False
        self._waiting |= events
        if len(self._waiting) > MOST_WAITING:
            self.close(Closed(FELL_BEHIND, BEHIND))
        return not self._is_sending

    async def send_all(self) -> None:
        self._is_sending = True
        try:
            while self._waiting:
                await self._send(self._waiting.pop(next(iter(self._waiting))))
        except (OSError, RuntimeError):  # it was closed meanwhile; the socket is told as well
            self._waiting.clear()
        finally:
            self._is_sending = False
            if self._limit:
                self._limit.cancel()

    def must_be_read_by(self, sending: asyncio.Task[None]) -> None:
        """The reader holds up `sending`; it has some time to catch up."""
        self._limit = asyncio.get_running_loop().call_later(SEND_WITHIN_S, self._give_up, sending)

    def close(self, closed: Closed) -> None:
        """The socket is to be closed; nothing more is sent but that."""
        self._waiting.clear()
        if not self.closing.done():
            self.closing.set_result(closed)

    def _give_up(self, sending: asyncio.Task[None]) -> None:
        self.close(Closed(FELL_BEHIND, BEHIND))
        sending.cancel()


async def hand_out(messages: Sequence[Message], outboxes: Iterable[Outbox]) -> None:
    """Returns when all who read have it. The others get it when they do, or are closed."""
    if not messages:
        return
    events = {message.about or object(): {"type": "websocket.send", "text": message.text} for message in messages}
    ready = [outbox for outbox in outboxes if outbox.put(events)]
    for start in range(0, len(ready), SENT_AT_A_STRETCH):
        await _Round(iter(ready[start : start + SENT_AT_A_STRETCH])).go()


class _Round:
    """One task sends to one reader after the other: a task each would cost more than the sending.

    The server takes a message at once unless the reader is behind. Then the task stays with that reader, and
    another goes on with the rest.
    """

    def __init__(self, left: Iterator[Outbox]) -> None:
        self._left = left
        self._at: Outbox | None = None

    async def go(self) -> None:
        while True:
            sending = asyncio.create_task(self._send_to_each())
            await asyncio.sleep(0)
            if sending.done() or self._at is None:
                return
            self._at.must_be_read_by(sending)
            self._at = None

    async def _send_to_each(self) -> None:
        for outbox in self._left:
            self._at = outbox
            await outbox.send_all()
            if self._at is not outbox:
                return

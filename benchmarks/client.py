"""An HTTP client that costs little, the same for both sides: all connections in one thread, one script a connection."""

from __future__ import annotations

import heapq
import select
import socket
import time
from collections.abc import Generator, Iterable
from itertools import count
from typing import NamedTuple

RECEIVE_BYTES = 65536
LOOKS_UP_EVERY_S = 0.5


class Answer(NamedTuple):
    status: int
    body: bytes


Script = Generator[bytes | float, Answer, None]
"""Yields a whole request and gets its answer, or yields seconds to sleep."""


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    named = {"Host": "127.0.0.1", **{name.replace("_", "-"): value for name, value in headers.items()}}
    if body:
        named |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def run(port: int, scripts: Iterable[Script], limit_s: float) -> None:
    """Until every script has come to its end. Raises TimeoutError after limit_s."""
    _Loop(port, limit_s).run(scripts)


class _Connection:
    def __init__(self, port: int, script: Script) -> None:
        self.script, self.received = script, b""
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)

    def answer(self) -> Answer | None:
        """The next whole answer, or None while more of it is to come."""
        received = self.socket.recv(RECEIVE_BYTES)
        if not received:
            raise ConnectionError("The server closed the connection.")
        self.received += received
        head_ends = self.received.find(b"\r\n\r\n")
        if head_ends < 0:
            return None
        ends = head_ends + 4 + _content_length(self.received[:head_ends].lower())
        if len(self.received) < ends:
            return None
        answer = Answer(int(self.received[9:12]), self.received[head_ends + 4 : ends])
        self.received = self.received[ends:]
        return answer


def _content_length(head: bytes) -> int:
    at = head.index(b"content-length:") + 15
    return int(head[at:].split(b"\r\n", 1)[0])


class _Loop:
    def __init__(self, port: int, limit_s: float) -> None:
        self._port, self._ends, self._limit_s = port, time.perf_counter() + limit_s, limit_s
        self._epoll = select.epoll()
        self._open: dict[int, _Connection] = {}
        self._asleep: list[tuple[float, int, _Connection]] = []
        self._numbers = count()

    def run(self, scripts: Iterable[Script]) -> None:
        try:
            for connection in [self._connect(script) for script in scripts]:
                self._go_on(connection, None)
            while self._open:
                self._serve()
                if time.perf_counter() > self._ends:
                    raise TimeoutError(f"The scripts did not end within {self._limit_s:.0f} s.")
        finally:
            for connection in self._open.values():
                connection.socket.close()
            self._epoll.close()

    def _serve(self) -> None:
        for fd, _ in self._epoll.poll(self._pause_s()):
            connection = self._open[fd]
            answer = connection.answer()
            if answer is not None:
                self._go_on(connection, answer)
        while self._asleep and self._asleep[0][0] <= time.perf_counter():
            self._go_on(heapq.heappop(self._asleep)[2], None)

    def _pause_s(self) -> float:
        if not self._asleep:
            return LOOKS_UP_EVERY_S
        return min(LOOKS_UP_EVERY_S, max(0.0, self._asleep[0][0] - time.perf_counter()))

    def _connect(self, script: Script) -> _Connection:
        connection = _Connection(self._port, script)
        self._open[connection.socket.fileno()] = connection
        self._epoll.register(connection.socket.fileno(), select.EPOLLIN)
        return connection

    def _go_on(self, connection: _Connection, answer: Answer | None) -> None:
        try:
            # The first step of a generator takes None.
            wanted = connection.script.send(answer)  # type: ignore[arg-type]
        except StopIteration:
            self._close(connection)
            return
        if isinstance(wanted, bytes):
            connection.socket.sendall(wanted)
        else:
            heapq.heappush(self._asleep, (time.perf_counter() + wanted, next(self._numbers), connection))

    def _close(self, connection: _Connection) -> None:
        fd = connection.socket.fileno()
        self._epoll.unregister(fd)
        self._open.pop(fd).socket.close()

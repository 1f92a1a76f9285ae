"""A line that can be cut: a TCP proxy. While it is cut the connections stay open and nothing passes, as in a partition."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.surroundings import free_port

AT_ONCE = 65536
ENDS_WITHIN_S = 10.0


class Line:
    """What was sent while the line was cut arrives when it is mended."""

    def __init__(self, to_port: int) -> None:
        self.port = free_port()
        self._to_port = to_port
        self._loop = asyncio.new_event_loop()
        self._passes = asyncio.Event()
        self._tasks = set[asyncio.Task[None]]()

    def cut(self) -> None:
        self._loop.call_soon_threadsafe(self._passes.clear)

    def mend(self) -> None:
        self._loop.call_soon_threadsafe(self._passes.set)

    def run(self, started: threading.Event) -> None:
        self._passes.set()
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        started.set()
        self._loop.run_forever()
        server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:  # without any, gather would look for a loop of this thread's
            self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.close()

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with suppress(OSError, asyncio.CancelledError):
            await self._passes.wait()
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
            try:
                await asyncio.gather(self._pass_on(reader, far_writer), self._pass_on(far_reader, writer))
            finally:
                far_writer.close()
        writer.close()
        self._tasks.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(AT_ONCE):
                await self._passes.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


@contextmanager
def line(to_port: int) -> Iterator[Line]:
    found, started = Line(to_port), threading.Event()
    thread = threading.Thread(target=found.run, args=[started], name="line")
    thread.start()
    assert started.wait(ENDS_WITHIN_S)
    try:
        yield found
    finally:
        found.end()
        thread.join(ENDS_WITHIN_S)

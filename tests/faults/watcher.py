"""A client of the API's socket, in a thread of its own."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from uuid import UUID

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import connect

from tests.faults.world import World

CUT_OFF = 1006


class Watcher(threading.Thread):
    """A program at the API's socket that comes back when it is closed; it remembers when it first heard of a job, and why it was closed."""

    def __init__(self, world: World) -> None:
        super().__init__(name="watcher", daemon=True)
        self.heard = dict[UUID, float]()
        self.codes = list[int]()
        self._address = f"ws://127.0.0.1:{world.web_port}/ws/jobs/?format=json"
        self._headers = {"Authorization": f"Bearer {world.key}"}
        self._leave = threading.Event()

    def __enter__(self) -> Watcher:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.set()
        self.join()

    def run(self) -> None:
        while not self._leave.wait(0.1):
            try:
                self._listen()
            except ConnectionClosed as closed:
                self.codes.append(closed.rcvd.code if closed.rcvd else CUT_OFF)
            except (OSError, WebSocketException):  # nobody is there yet
                continue

    def _listen(self) -> None:
        with connect(self._address, additional_headers=self._headers) as stream:
            while not self._leave.is_set():
                with suppress(TimeoutError):
                    job = json.loads(stream.recv(timeout=0.5))["job"]
                    self.heard.setdefault(UUID(job["id"]), time.time())

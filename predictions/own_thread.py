"""A thread that a process starts when it first needs it, and anew where it was forked: threads stay behind."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable


class OwnThread:
    def __init__(self, run: Callable[[], None], name: str) -> None:
        self._run, self._name = run, name
        self._lock = threading.Lock()
        self._pid = 0

    def start(self) -> None:
        """Where it does not run yet. Cheap enough for each request."""
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                threading.Thread(target=self._run, name=self._name, daemon=True).start()

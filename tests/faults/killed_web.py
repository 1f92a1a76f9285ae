"""The web as it is, but killed at its first publish: after the commit, before the answer. `uvicorn tests.faults.killed_web:application`."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from inference_site.asgi import application
from predictions import dispatch

__all__ = ["application"]


def die(messages: Sequence[dispatch.Message]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


dispatch.publish_soon = die

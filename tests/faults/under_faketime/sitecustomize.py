"""Imported by every Python that runs under libfaketime: its clock_nanosleep refuses what Python's `time.sleep` asks of it."""

from __future__ import annotations

import select
import time


def sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


time.sleep = sleep

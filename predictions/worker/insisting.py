"""A database or storage that is away for a while costs a worker time, never the work: it tries again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

log = logging.getLogger(__name__)
AWAY = (OperationalError, InterfaceError)
FOR_S = 60.0
AGAIN_AFTER_S = 0.5
T = TypeVar("T")


def insist(act: Callable[[], T]) -> T:
    """What `act` gives. `act` is fenced, so that one whose reply was lost does nothing the second time."""
    ends = time.monotonic() + FOR_S
    while True:
        try:
            return act()
        except AWAY as error:
            if time.monotonic() > ends:
                raise
            log.warning("The database is away, trying again: %s", error)
            connection.close()
            time.sleep(AGAIN_AFTER_S)


def insist_on_storage(act: Callable[[], T]) -> T:
    """What `act` gives. A full disk may be cleared meanwhile; a file that is gone stays gone."""
    ends = time.monotonic() + FOR_S
    while True:
        try:
            return act()
        except FileNotFoundError:
            raise
        except OSError as error:
            if time.monotonic() > ends:
                raise
            log.warning("The storage is away, trying again: %s", error)
            time.sleep(AGAIN_AFTER_S)

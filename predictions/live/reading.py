"""Where the live pages read the database: on threads of their own, so that they never hold up a request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from django.db import Error, connection

THREADS = 2
T = TypeVar("T")

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="live")


async def read(act: Callable[[], T]) -> T:
    """Run what reads the database in one of the threads, which keep their connections."""
    return await asyncio.get_running_loop().run_in_executor(_threads, partial(_read, act))


def _read(act: Callable[[], T]) -> T:
    """Once more where it failed: the connection may be one to a server that was started anew meanwhile."""
    try:
        return act()
    except Error:
        connection.close()
        return act()

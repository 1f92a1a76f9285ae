"""Where the live pages read the database: on threads of their own, so that they never hold up a request."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from channels.db import database_sync_to_async

THREADS = 2
T = TypeVar("T")

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="live")


async def read(act: Callable[[], T]) -> T:
    """Run what uses the database in one of the threads."""
    found: T = await database_sync_to_async(act, thread_sensitive=False, executor=_threads)()
    return found

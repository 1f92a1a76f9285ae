"""Where async code uses the ORM: on a few threads that keep their connections.

Django's own sync_to_async opens a thread, and with it a database connection, for each request (facts 21).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import Error, connection

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 4
_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="orm")
_broker_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="orm-and-broker")


async def in_db_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """For short work only: whatever reads a whole upload gets a thread of its own, and so does what asks Redis."""
    return await _in(_threads, partial(function, *args, **kwargs))


def begin_in_db_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> None:
    """For what nobody waits for."""
    _threads.submit(_run, partial(function, *args, **kwargs))


async def in_broker_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """For what also asks Redis: where it hangs, they wait for it and hold up nobody else (seen: submits of 4 s)."""
    return await _in(_broker_threads, partial(function, *args, **kwargs))


async def _in(threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(threads, partial(_run, work))


def _run(work: Callable[[], T]) -> T:
    try:
        return work()
    except Error:  # the next one gets a fresh connection
        connection.close()
        raise

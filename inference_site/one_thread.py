"""The innermost middleware: with it, Django runs all the others as plain functions, one after another in one thread."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

GetResponse = Callable[[HttpRequest], HttpResponse]


def in_one_thread(get_response: GetResponse) -> GetResponse:
    """Does nothing, and is no coroutine.

    The others can be either. As coroutines around an async view each of them goes to a thread and back, twice a request.
    """
    return get_response

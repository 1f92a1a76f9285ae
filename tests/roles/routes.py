"""Every door of the product: Django's addresses with the methods of the API's calls, the doors before Django, and the websockets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from predictions import plain_calls, routing, upload_door
from workers_admin import routing as console_routing

API = "api/v1/"


def pages() -> list[str]:
    """Django's addresses but those of the API, as their patterns are written."""
    return sorted({route for route, _ in _patterns(get_resolver().url_patterns) if not route.startswith((API, "^api"))})


def calls() -> list[tuple[str, str]]:
    """(method, address) of each call of the API, and of the pages that describe it."""
    found = set()
    for route, pattern in _patterns(get_resolver().url_patterns):
        if route.startswith(API):
            found |= {(method, route) for method in _methods(pattern)}
    return sorted(found)


def sockets() -> list[str]:
    return sorted(
        str(each.pattern) for each in [*routing.websocket_urlpatterns, *console_routing.websocket_urlpatterns]
    )


def doors() -> list[tuple[str, str]]:
    """What is answered before Django: the hot calls of `Lean`, by whatever names an address there, and the files of `UploadDoor`."""
    named = [value.pattern if isinstance(value, re.Pattern) else value for value in vars(plain_calls).values()]
    hot = [address for address in named if isinstance(address, str) and address.startswith("/api/")]
    return sorted([("hot", address) for address in hot] + [("file", address) for address in upload_door.UPLOADS])


def _patterns(patterns: Iterable[Any], before: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern.url_patterns, route)
        else:
            yield route, pattern


def _methods(pattern: URLPattern) -> set[str]:
    """ninja keeps the calls of one address together; a page that describes them is read."""
    calls = next((held.operations for held in _held(pattern.callback) if hasattr(held, "operations")), [])
    return {method for call in calls for method in call.methods} or {"GET"}


def _held(view: Any) -> Iterator[Any]:
    """What a view is wrapped around."""
    for cell in getattr(view, "__closure__", None) or ():
        yield cell.cell_contents
        yield from _held(cell.cell_contents)

"""Turns away who may not act: they are told which permission it needs, and the audit notes it.

Refused submissions are not noted: they touch nobody else's, and a program may send thousands.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from predictions import audit, rights
from predictions.errors import LacksPermission

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def permitted(*permissions: str) -> Callable[[View[P]], View[P]]:
    """For holders of one of these; stands below what demands that somebody is signed in."""

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if rights.of(request.user).isdisjoint(permissions):
                lacks = LacksPermission(rights.refusal(permissions[0]), permissions[0])
                note(request.user, request, lacks)
                raise PermissionDenied(lacks.detail)
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def note(user: Any, request: HttpRequest, lacks: LacksPermission) -> None:
    if request.method == "POST" and lacks.permission != rights.SUBMIT:
        audit.note_refusal(user, request.path, lacks.detail, audit.address_of(request))

"""Who calls the JSON API: the owner of an API key, or the person of a browser session that shows its CSRF token."""

from __future__ import annotations

from copy import copy
from typing import Any, cast

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from ninja.security.base import AuthBase

from predictions import known_keys, rights
from predictions.db_threads import in_db_thread
from predictions.errors import NotPermitted, NotSignedIn
from predictions.models import Job, JobQuerySet

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
HOW = "Send an API key as 'Authorization: Bearer <key>', or sign in."


class ApiKey(AuthBase):
    """Authorization: Bearer <key>."""

    openapi_type = "http"
    openapi_scheme = "bearer"
    openapi_description = "An API key: made on the page of your keys, or by `manage.py create_api_key USER`."

    async def __call__(self, request: HttpRequest) -> Any:
        """None where no key was sent: the session may say who it is."""
        given = request.headers.get("Authorization")
        if given is None:
            return None
        scheme, _, key = given.strip().partition(" ")
        if scheme.lower() != "bearer":
            raise NotSignedIn(f"The Authorization header starts with {scheme[:20]!r}; 'Bearer <key>' is allowed.")
        user = known_keys.user_of(key.strip()) or await in_db_thread(known_keys.look_up, key.strip())
        if user is None:
            raise NotSignedIn(f"The API key is not known, is revoked, or its owner's account is closed. {HOW}")
        return copy(user)

    async def authenticate(self, request: HttpRequest) -> Any:
        """Its being async tells ninja to await the call."""
        return await self(request)


class Session(AuthBase):
    """The browser's session; a POST needs the CSRF token as well."""

    csrf = True
    openapi_type = "apiKey"
    openapi_in = "cookie"
    openapi_name = "sessionid"
    openapi_description = "The session of a signed-in browser. A POST needs the X-CSRFToken header."

    async def __call__(self, request: HttpRequest) -> Any:
        user = await request.auser()
        if not user.is_authenticated:
            raise NotSignedIn(f"No API key was sent and nobody is signed in. {HOW}")
        if request.method not in SAFE_METHODS and not _has_csrf_token(request):
            raise NotPermitted(
                "The CSRF token is missing or wrong. Send it in the X-CSRFToken header, or use an API key."
            )
        await in_db_thread(rights.of, user)
        return user

    async def authenticate(self, request: HttpRequest) -> Any:
        """Its being async tells ninja to await the call."""
        return await self(request)


CALLERS = [ApiKey(), Session()]


class _Csrf(CsrfViewMiddleware):
    """Says whether the token is right instead of answering with a page."""

    def _reject(self, request: HttpRequest, reason: str) -> HttpResponse:
        return HttpResponse(reason, status=403)


def _has_csrf_token(request: HttpRequest) -> bool:
    middleware = _Csrf(lambda _: HttpResponse())
    middleware.process_request(request)
    return middleware.process_view(request, lambda _: HttpResponse(), (), {}) is None


def user_of(request: HttpRequest) -> User:
    """Whom the API's authentication has found."""
    return cast(User, getattr(request, "auth"))  # noqa: B009  ninja puts it there; Django's type does not know it


def demand_console(user: Any) -> None:
    rights.demand(user, rights.SEE_CONSOLE)


def seen_or(user: Any, on_any: str) -> JobQuerySet:
    """The jobs that `user` may be told of: those they may see, and all where they may act on any."""
    return Job.objects.all() if rights.has(user, on_any) else Job.objects.of(user)

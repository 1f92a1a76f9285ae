"""One API from both apps' routers; whatever goes wrong in it is told as application/problem+json."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, re_path
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI, Swagger
from ninja.errors import HttpError, ValidationError
from ninja.operation import Operation

from predictions import refusing
from predictions.api import router as predictions_router
from predictions.api_answers import NOT_STORED
from predictions.api_reading import refuse_nul
from predictions.api_schemas import Problem
from predictions.callers import CALLERS, user_of
from predictions.db_threads import begin_in_db_thread
from predictions.downloads import is_head
from predictions.errors import InvalidInput, LacksPermission, NotAllowed, NotFound, Refused
from predictions.numbers_in_text import cut
from predictions.problems import problem, refusal_for
from workers_admin.api import router as workers_router

View = Callable[..., Awaitable[HttpResponseBase]]
ROOT = "/api/v1/"
DESCRIPTION = """Predictions by queue. Send an API key as `Authorization: Bearer <key>`, or sign in to try it out here.

Every error is `application/problem+json`: `detail` says in a sentence what was given and what is allowed, `errors` names the places.
Times are RFC 3339 in UTC; durations end in `_s`."""


class Api(NinjaAPI):
    def get_openapi_operation_id(self, operation: Operation) -> str:
        return operation.view_func.__name__

    def get_openapi_schema(self, **options: Any) -> Any:
        """With the shape that every problem refers to."""
        schema = super().get_openapi_schema(**options)
        problem_schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schema["components"]["schemas"] |= problem_schema.pop("$defs", {}) | {"Problem": problem_schema}
        return schema


# The validator's badge would be fetched from another host.
DOCS = Swagger(settings={"validatorUrl": None, "displayRequestDuration": True})
TAGS = [{"name": name} for name in ("submitting", "jobs", "models", "operations")]
api = Api(
    title="Inference dashboard",
    version="1",
    description=DESCRIPTION,
    auth=CALLERS,
    docs=DOCS,
    urls_namespace="api",
    openapi_extra={"tags": TAGS},
)
api.add_router("", predictions_router)
api.add_router("", workers_router)


@api.exception_handler(Refused)
def refused(request: HttpRequest, error: Refused) -> HttpResponseBase:
    if isinstance(error, LacksPermission):
        begin_in_db_thread(refusing.note, user_of(request), request, error)
    return problem(error)


@api.exception_handler(ValidationError)
def invalid(request: HttpRequest, error: ValidationError) -> HttpResponseBase:
    """A value of the query string that cannot be taken."""
    places = [{"column": str(fault["loc"][-1]), "message": _said(request, fault)} for fault in error.errors]
    return problem(InvalidInput(f"{places[0]['column']}: {places[0]['message']}.", places))


@api.exception_handler(HttpError)
@api.exception_handler(Http404)
def not_found(request: HttpRequest, error: Exception) -> HttpResponseBase:
    return problem(NotFound(f"There is nothing at {cut(request.path)}."))


@api.exception_handler(Exception)
def broken(request: HttpRequest, error: Exception) -> HttpResponseBase:
    return problem(refusal_for(error, request.method, request.path))


@csrf_exempt
async def unknown(request: HttpRequest) -> HttpResponseBase:
    return problem(NotFound(f"There is nothing at '{cut(request.path)}'. The API is described at {ROOT}docs."))


def _said(request: HttpRequest, fault: dict[str, Any]) -> str:
    given = request.GET.get(str(fault["loc"][-1]))
    message = str(fault["msg"])
    return f"{message[:1].lower()}{message[1:]}" + ("" if given is None else f", not '{cut(given)}'")


def _guarded(view: View) -> View:
    """What holds for every call: no NUL in the query, HEAD as GET, no caching, and a 405 in our own words."""

    async def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            refuse_nul(request.GET.dict())
        except Refused as error:
            return problem(error)
        if request.method == "HEAD":
            request.method = "GET"
        answered = await view(request, *args, **kwargs)
        if answered.status_code == NotAllowed.status:
            answered = _not_allowed(request, answered.headers["Allow"])
        if is_head(request) and answered.streaming:  # nothing is read for nobody
            answered = HttpResponse(headers=dict(answered.headers), status=answered.status_code)
        answered.headers.setdefault("Cache-Control", NOT_STORED)
        return answered

    return csrf_exempt(guarded)  # callers.Session asks for the token


def _page(view: Callable[..., HttpResponseBase]) -> View:
    """ninja's own pages answer any method; they touch no database."""

    async def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return view(request, *args, **kwargs) if request.method == "GET" else HttpResponseNotAllowed(["GET"])

    return page


def _not_allowed(request: HttpRequest, allowed: str) -> HttpResponseBase:
    answered = problem(NotAllowed(f"{request.method} is not allowed at {cut(request.path)}; {allowed} is."))
    answered.headers["Allow"] = allowed
    return answered


def _patterns() -> tuple[list[Any], str, str]:
    patterns, app_name, namespace = api.urls
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            view = pattern.callback
            pattern.callback = _guarded(view if iscoroutinefunction(view) else _page(view))
    return patterns, app_name, namespace


# The bare root comes first: ninja's own answer there is a page.
urlpatterns = [path(ROOT[1:], unknown), path(ROOT[1:], _patterns()), re_path(r"^api/v1(?:/|$)", unknown)]

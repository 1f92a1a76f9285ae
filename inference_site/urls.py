"""Every address of the site, and what is said where there is none."""

from __future__ import annotations

import sys
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import include, path
from django.views import defaults

from inference_site import api
from predictions.errors import Internal, NotFound, NotPermitted, Refused
from predictions.health_views import healthz, readyz
from predictions.problems import problem
from predictions.unavailable import unavailable_for
from predictions.views.answers import is_script, told
from workers_admin.views import metrics

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics.show, name="metrics"),
    *api.urlpatterns,
    path("", include("predictions.sign_in_urls")),
    path("admin/", admin.site.urls),
    path("console/", include("workers_admin.urls")),
    path("", include("predictions.urls")),
]


def handler400(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    refused = Refused("The request cannot be understood: its address, host or headers are not valid.")
    return _answer(request, refused, defaults.bad_request, exception)


def handler403(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    refusal = NotPermitted(str(exception) or "This is not permitted.")
    if is_script(request):
        return told(request, refusal)
    return _answer(request, refusal, defaults.permission_denied, exception)


def handler404(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    return _answer(request, NotFound(f"There is nothing at '{request.path[:80]}'."), defaults.page_not_found, exception)


def handler500(request: HttpRequest) -> HttpResponseBase:
    """Also where the session could not be saved: Django calls it while the error is being handled."""
    if unavailable := unavailable_for(sys.exc_info()[1]):
        return problem(unavailable) if request.path.startswith("/api/") else told(request, unavailable)
    refused = Internal("The request could not be answered because of a fault on our side; it has been logged.")
    return _answer(request, refused, defaults.server_error)


def _answer(request: HttpRequest, refused: Refused, page: Any, *exception: Exception) -> HttpResponseBase:
    """Programs get problem+json, people a page."""
    return problem(refused) if request.path.startswith("/api/") else page(request, *exception)

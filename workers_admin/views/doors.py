"""Who comes through the console's doors, and where an act leads back to."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from predictions.errors import Refused
from predictions.models import Job, JobQuerySet
from predictions.refusing import permitted
from workers_admin import permissions

View = Callable[..., HttpResponseBase]
PAGES = {
    "overview": "console",
    "queues": "console_queues",
    "workers": "console_workers",
    "results": "console_results",
    "audit": "console_audit",
}
AT_ONCE = 200


def demanding(permission: str) -> Callable[[View], View]:
    """Signed in, and a holder of the permission; anybody else is told what it needs, and an act is noted."""
    return lambda view: login_required(permitted(permission)(view))


def page(view: View) -> View:
    return require_GET(demanding(permissions.SEE)(view))


def act(permission: str) -> Callable[[View], View]:
    """POST only, and only for those who may."""
    return lambda view: require_POST(demanding(permission)(view))


def back(request: HttpRequest) -> HttpResponse:
    """To the page of the console that the form stood on, and to what was searched there."""
    page, query = reverse(PAGES.get(request.POST.get("view", ""), "console")), QueryDict(request.POST.get("query", ""))
    return redirect(f"{page}?{query.urlencode()}" if query else page)


def told(request: HttpRequest, act: Callable[[], str]) -> HttpResponse:
    """Act, say how it went, and go back."""
    try:
        messages.success(request, act())
    except Refused as refused:
        messages.error(request, refused.detail)
    return back(request)


def chosen_jobs(request: HttpRequest) -> JobQuerySet:
    """The jobs that the form names, at most 200; what is no id is passed over."""
    ids = [found for text in request.POST.getlist("job")[:AT_ONCE] if (found := _id(text))]
    return Job.objects.filter(pk__in=ids).order_by("pk")


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None

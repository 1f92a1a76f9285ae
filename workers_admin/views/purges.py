"""Purging a queue: a page that says what will happen, and the act, for which the queue's name is typed."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from predictions.audit import address_of
from predictions.errors import InvalidInput
from predictions.queues import QUEUES
from workers_admin import purging
from workers_admin.permissions import PURGE_QUEUES
from workers_admin.views.doors import demanding


@require_http_methods(["GET", "POST"])
@demanding(PURGE_QUEUES)
def purge(request: HttpRequest, queue: str) -> HttpResponse:
    if queue not in QUEUES:
        raise Http404(f"There is no queue '{queue}'.")
    return _purge(request, queue) if request.method == "POST" else _page(request, queue)


def _purge(request: HttpRequest, queue: str) -> HttpResponse:
    try:
        said = purging.purge(queue, request.POST.get("queue", ""), request.user, address_of(request))
    except InvalidInput as refused:
        return _page(request, queue, refused.detail, 422)
    messages.success(request, said)
    return redirect("console_queues")


def _page(request: HttpRequest, queue: str, problem: str = "", status: int = 200) -> HttpResponse:
    shown = {"queue": queue, "foreseen": purging.foresee(queue), "problem": problem}
    return render(request, "workers_admin/purge.html", shown, status=status)

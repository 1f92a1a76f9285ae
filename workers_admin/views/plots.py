"""What the overview's plots draw, as JSON."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse

from workers_admin.series import plots
from workers_admin.spans import asked
from workers_admin.views.doors import page


@page
def samples(request: HttpRequest) -> JsonResponse:
    since = request.GET.get("since", "")
    return JsonResponse(plots(asked(request.GET), int(since) if since.isdecimal() and len(since) < 12 else 0))

"""The door of whoever collects numbers: without a session, with a token where METRICS_TOKEN sets one."""

from __future__ import annotations

from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from predictions.db_threads import in_broker_thread
from workers_admin import metrics

PLAIN = "text/plain; charset=utf-8"


@csrf_exempt
@require_safe
async def show(request: HttpRequest) -> HttpResponse:
    """The numbers as Prometheus reads them; 503 where the database does not answer."""
    if not _may(request):
        said = "Send the token of METRICS_TOKEN as 'Authorization: Bearer <token>'.\n"
        return HttpResponse(said, PLAIN, 401, headers={"WWW-Authenticate": "Bearer"})
    try:
        numbers = await in_broker_thread(metrics.kept_text)
    except Error as error:
        return HttpResponse(f"The database does not answer: {type(error).__name__}.\n", PLAIN, 503)
    return HttpResponse(numbers, CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})


def _may(request: HttpRequest) -> bool:
    token = settings.METRICS_TOKEN
    return not token or constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {token}")

"""The doors of orchestrators and load balancers: whether the process lives, and whether the product can do its work."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from predictions import health
from predictions.db_threads import in_broker_thread


@csrf_exempt
@require_safe
async def healthz(request: HttpRequest) -> JsonResponse:
    """The process lives; nothing else is asked."""
    return JsonResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


@csrf_exempt
@require_safe
async def readyz(request: HttpRequest) -> JsonResponse:
    """200, or 503 with a sentence for each thing that is missing."""
    found = health.as_json(await in_broker_thread(health.checks))
    return JsonResponse(found, status=200 if found["ready"] else 503, headers={"Cache-Control": "no-store"})

"""API keys: made, shown once, listed and revoked by their owner."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from predictions import audit, samples
from predictions import keys as api_keys
from predictions.errors import Refused
from predictions.forms import key_name
from predictions.keys import ApiKey, subject


@require_http_methods(["GET", "POST"])
@never_cache
@login_required
def keys(request: HttpRequest) -> HttpResponse:
    if request.method == "GET":
        return _page(request)
    try:
        name = key_name(request.POST)
    except Refused as refusal:
        return _page(request, refusal.status, problem=refusal, name=request.POST.get("name", ""))
    with transaction.atomic():
        made, plain = api_keys.create(request.user, name)
        facts = {"owner": request.user.get_username(), "name": name}
        audit.write(request.user, "make key", subject(made), name, audit.address_of(request), after=facts)
    return _page(request, 201, made=made, plain=plain)


@require_POST
@login_required
def revoke(request: HttpRequest, key_id: int) -> HttpResponse:
    key = _own(request).filter(pk=key_id).first()
    if key is None:
        raise Http404
    with transaction.atomic():
        if api_keys.revoke(request.user, key.pk):
            was, now = {"revoked": False}, {"revoked": True}
            audit.write(request.user, "revoke key", subject(key), "revoked", audit.address_of(request), was, now)
    messages.success(request, f"The key {key.name} is revoked. Requests that use it are refused from now on.")
    return redirect("keys")


def _own(request: HttpRequest) -> QuerySet[ApiKey]:
    return ApiKey.objects.filter(owner=cast(User, request.user))


def _page(request: HttpRequest, status: int = 200, **more: Any) -> HttpResponse:
    shown = {"keys": _own(request), "site": samples.site_of(request), **more}
    return render(request, "predictions/keys.html", shown, status=status)

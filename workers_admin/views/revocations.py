"""Revoking one job or several."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from predictions import bulk_revocation
from predictions.audit import address_of
from predictions.errors import Refused
from workers_admin.permissions import REVOKE
from workers_admin.views.doors import act, chosen_jobs, told


@act(REVOKE)
def revoke(request: HttpRequest) -> HttpResponse:
    return told(request, lambda: _revoke(request))


def _revoke(request: HttpRequest) -> str:
    ids = list(chosen_jobs(request).values_list("pk", flat=True))
    if not ids:
        raise Refused("No job was selected.")
    counts = bulk_revocation.revoke_selected(ids, request.user, address_of(request))
    return f"Revoke: {bulk_revocation.told(counts)}."

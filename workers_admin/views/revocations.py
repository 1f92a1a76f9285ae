"""Revoking one job or several."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from predictions.audit import address_of
from predictions.errors import Refused
from workers_admin.permissions import REVOKE
from workers_admin.revoking import revoke_many
from workers_admin.views.doors import act, chosen_jobs, told


@act(REVOKE)
def revoke(request: HttpRequest) -> HttpResponse:
    return told(request, lambda: _revoke(request))


def _revoke(request: HttpRequest) -> str:
    said = revoke_many(chosen_jobs(request), request.user, address_of(request))
    if not said:
        raise Refused("No job was selected.")
    return f"Revoke: {said}."

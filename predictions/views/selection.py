"""What the list's form sends: the jobs that were selected, and the list to go back to."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from predictions.models import Job, JobQuerySet


def selected_jobs(request: HttpRequest) -> JobQuerySet:
    """Those of them that the user may see; what is no id is passed over."""
    ids = [found for text in request.POST.getlist("job") if (found := _id(text))]
    return Job.objects.of(request.user).filter(pk__in=ids).order_by("pk")


def back_to_list(request: HttpRequest) -> str:
    """The list with the filters and the page it had."""
    wanted = request.POST.get("next", "") or request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if is_ours else reverse("jobs")


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None

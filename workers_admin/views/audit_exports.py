"""The audit as a file, all that match its filter."""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET

from predictions import audit
from predictions.downloads import CSV
from workers_admin import audit_export
from workers_admin.audit_list import AuditList
from workers_admin.permissions import EXPORT_AUDIT
from workers_admin.views.doors import demanding


@require_GET
@demanding(EXPORT_AUDIT)
def export(request: HttpRequest) -> HttpResponseBase:
    """The export is an entry too, the first in the file. A filter that cannot be read leads back to the page, which says so."""
    listed = AuditList(request.GET)
    if not listed.is_valid:
        return redirect(f"{reverse('console_audit')}?{request.GET.urlencode()}")
    filters = listed.query(before="")
    with transaction.atomic():
        words = f"all that match {filters}" if filters else "all entries"
        entry = audit.write(request.user, "export audit", "audit", words, audit.address_of(request))
    answer = StreamingHttpResponse(audit_export.lines(listed, entry.pk), content_type=CSV)
    answer.headers["Content-Disposition"] = 'attachment; filename="audit.csv"'
    answer.headers["Cache-Control"] = "private, no-store"
    return answer

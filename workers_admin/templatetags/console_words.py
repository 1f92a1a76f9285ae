"""Words that only the console's templates use."""

from __future__ import annotations

from uuid import UUID

from django import template
from django.urls import reverse
from django.utils.html import format_html

from workers_admin.audit_changes import changes
from workers_admin.notices import told
from workers_admin.worker_cards import anchor

register = template.Library()


@register.filter
def linked(subject: str) -> str:
    """What an audit entry is about; a job leads to its page. "job 0198…" → a link."""
    kind, _, job_id = subject.partition(" ")
    try:
        page = reverse("job", args=[UUID(job_id)])
    except ValueError:
        return subject
    return format_html('{} <a class="id" href="{}" title="{}">{}</a>', kind, page, job_id, job_id[-8:])


register.filter("anchor", anchor)
register.filter("changes", changes)
register.filter("told", told)

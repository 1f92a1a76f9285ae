"""What is told of an incident, in words for people and as JSON for programs."""

from __future__ import annotations

import textwrap
from typing import Any

from django.conf import settings

from predictions.models import time_of
from workers_admin.models import Incident, Notice


def where(incident: Incident) -> str:
    """The page to go to, at the first name by which the web may be called; "" where it may be any."""
    origin = next((origin for origin in settings.ALLOWED_ORIGINS if "*" not in origin), "")
    return f"{origin}{incident.href or '/console/'}" if origin else ""


def notice_id(notice: Notice) -> str:
    """The same at each try, so that who hears it twice can tell."""
    moment = "end" if notice.of_end else "begin"
    return f"incident-{notice.incident_id}-{notice.incident.began:%Y%m%dT%H%M%S}-{moment}"


def subject(notice: Notice) -> str:
    incident = notice.incident
    state = "Over" if notice.of_end else "Wrong" if incident.is_bad else "Warning"
    return textwrap.shorten(f"[{state}] {incident.words}", 150, placeholder=" …")


def letter(notice: Notice) -> str:
    incident = notice.incident
    command = [f"To do: {incident.command}"] if incident.command else []
    lines = [incident.words, *command, f"Began: {time_of(incident.began)}"]
    if notice.of_end:
        lines = [f"It is over: {incident.words}", lines[-1], f"Ended: {time_of(incident.ended)}"]
    return "\n".join([*lines, *([f"See {where(incident)}"] if where(incident) else []), ""])


def body(notice: Notice) -> dict[str, Any]:
    """As the Standard Webhooks recommend it: type, timestamp, data."""
    incident: Incident = notice.incident
    return {
        "type": "incident.ended" if notice.of_end else "incident.began",
        "timestamp": time_of(incident.ended if notice.of_end else incident.began),
        "data": {
            "id": incident.pk,
            "key": incident.key,
            "severity": "bad" if incident.is_bad else "warning",
            "words": incident.words,
            "command": incident.command,
            "began": time_of(incident.began),
            "ended": time_of(incident.ended) if notice.of_end else None,
            "see": where(incident),
        },
    }

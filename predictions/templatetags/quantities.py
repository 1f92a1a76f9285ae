"""Quantities in words: how long something took."""

from __future__ import annotations

from datetime import datetime

from django import template

register = template.Library()


@register.filter
def duration(seconds: float | None) -> str:
    """0.0042 → "4 ms", 1.25 → "1.3 s", 75 → "1 min 15 s", 120 → "2 min", 7300 → "2 h 1 min"; None → ""."""
    if seconds is None:
        return ""
    if seconds < 0.9995:
        return f"{max(0, round(seconds * 1000))} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes_left = divmod(minutes, 60)
    whole, part = (f"{hours:,} h", f"{minutes_left} min") if hours else (f"{minutes} min", f"{rest} s")
    return whole if part.startswith("0 ") else f"{whole} {part}"


@register.filter
def until(start: datetime | None, end: datetime | None) -> str:
    """The duration between two times, or nothing where one is not there yet. `{{ job.created|until:job.started }}`"""
    return "" if start is None or end is None else duration((end - start).total_seconds())

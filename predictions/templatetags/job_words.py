"""Places in line, waits to come, urgencies and shares as people read them."""

from __future__ import annotations

from django import template

from predictions.templatetags.quantities import duration

__all__ = ["between", "counted", "duration", "ordinal", "percent", "revoke_will", "urgency"]

register = template.Library()
register.filter("duration", duration)
URGENT_FROM, NORMAL_FROM = 7, 4


@register.filter
def between(seconds: tuple[float, float]) -> str:
    """(6.2, 12.4) → "6 to 12 s"; the unit of both is the high one's."""
    low, high = seconds
    if high < 1:
        return f"{low * 1000:.0f} to {high * 1000:.0f} ms"
    if high < 120:
        return f"{low:.0f} to {max(1, high):.0f} s"
    return f"{low / 60:.0f} to {high / 60:.0f} min"


@register.filter
def ordinal(ahead: int) -> str:
    """How a job stands that has `ahead` others before it: 0 → "1st", 3 → "4th"."""
    place = ahead + 1
    ending = "th" if place % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place:,}{ending}"


@register.filter
def urgency(priority: int) -> str:
    """9 → "urgent (9)"."""
    word = "urgent" if priority >= URGENT_FROM else "normal" if priority >= NORMAL_FROM else "low"
    return f"{word} ({priority})"


@register.filter
def percent(share: float) -> str:
    """0.98714 → "98.7 %". A share just below 1 is never shown as 100 %."""
    return "99.9 %" if 0.9995 <= share < 1 else f"{share * 100:.1f} %"


@register.filter
def counted(number: int, noun: str) -> str:
    """1 → "1 row", 8400 → "8,400 rows"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


@register.filter
def revoke_will(status: str, kind: str) -> str:
    """What revoking will do to a job: the word that revoking.js counts by."""
    if status == "queued":
        return "never"
    if status == "revoking":
        return "stopping"
    if status != "running":
        return "ended"
    return "keeps" if kind == "batch" else "drops"

"""Vectors as pictures: an image where the model's card says so, else a heat strip. Inline SVG of classes and attributes only."""

from __future__ import annotations

from collections.abc import Sequence

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from predictions.model_cards import ModelCard

register = template.Library()
MOST_BARS = 512
"""Bars in a strip; of a longer vector neighbours share one."""


@register.simple_tag
def vector_picture(vector: Sequence[float], card: ModelCard | None, look: str = "") -> SafeString:
    """The vector as its model sees it. look: a further class, as `picture-small`. card None: the model is gone, so a strip."""
    if card and card.picture and len(vector) == card.width:
        return image(vector, card.picture, look)
    return strip(vector, look)


def image(vector: Sequence[float], picture: dict[str, float], look: str = "") -> SafeString:
    rows, columns = int(picture["rows"]), int(picture["columns"])
    inks = [_ink(value, picture["low"], picture["high"]) for value in vector]
    cells = [(at % columns, at // columns, ink) for at, ink in enumerate(inks)]
    words = f"The input as an image of {rows} by {columns}"
    return _svg(f"picture {look}".strip(), columns, rows, words, cells)


def strip(vector: Sequence[float], look: str = "") -> SafeString:
    """One bar a value, dark where it is high among its neighbours' range."""
    bars = _bars(vector)
    low, high = min(bars, default=0.0), max(bars, default=0.0)
    cells = [(at, 0, _ink(value, low, high)) for at, value in enumerate(bars)]
    words = (
        f"The input as a strip of {len(vector):,} values from {min(vector, default=0):g} to {max(vector, default=0):g}"
    )
    return _svg(f"strip {look}".strip(), max(1, len(bars)), 1, words, cells)


def _bars(vector: Sequence[float]) -> list[float]:
    """The values, or means of neighbours where there are too many to tell apart."""
    size = -(-len(vector) // MOST_BARS) or 1
    groups = [vector[start : start + size] for start in range(0, len(vector), size)]
    return [sum(group) / len(group) for group in groups]


def _ink(value: float, low: float, high: float) -> float:
    """0 to 1, to two digits; a range without extent is blank."""
    return round(min(1.0, max(0.0, (value - low) / (high - low))), 2) if high > low else 0.0


def _svg(look: str, columns: int, rows: int, words: str, cells: Sequence[tuple[int, int, float]]) -> SafeString:
    drawn = ((x, y, f"{ink:g}") for x, y, ink in cells if ink)
    rects = format_html_join(
        "", '<rect x="{}" y="{}" width="1" height="1" fill="currentColor" fill-opacity="{}"/>', drawn
    )
    stretch = "none" if rows == 1 else "xMidYMid"
    return format_html(
        '<svg class="{}" viewBox="0 0 {} {}" preserveAspectRatio="{}" role="img" aria-label="{}">{}</svg>',
        look, columns, rows, stretch, words, rects,
    )  # fmt: skip

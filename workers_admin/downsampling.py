"""Samples of short stretches made into those of longer ones, and forgotten when they are old."""

from __future__ import annotations

from itertools import pairwise

from django.db.models import Max, Min, Q

from predictions.clock import now_s
from workers_admin import samples
from workers_admin.models import Sample
from workers_admin.samples import Stretches
from workers_admin.stretches import Stretch, stretch_of

HOUR_S, DAY_S = 3600, 24 * 3600
# {length of a stretch: how long it is kept}, each a whole number of the one before.
KEPT_S = {samples.EVERY_S: samples.KEPT_S, 60: 2 * DAY_S, 300: 8 * DAY_S, 1800: 30 * DAY_S}
AT_ONCE = 20


def merge() -> None:
    """Make every longer stretch whose parts are complete, at most 20 of each length."""
    for fine_s, coarse_s in pairwise(KEPT_S):
        for _ in range(AT_ONCE):
            if not _merge_next(fine_s, coarse_s):
                break


def _merge_next(fine_s: int, coarse_s: int) -> bool:
    """Shorter stretches are written in order: what lies before the last one is complete."""
    fine = Sample.objects.filter(every_s=fine_s)
    last = Sample.objects.filter(every_s=coarse_s, at__lte=now_s()).aggregate(at=Max("at"))["at"]
    known = fine.filter(at__gte=0 if last is None else last + coarse_s).aggregate(first=Min("at"), last=Max("at"))
    if known["first"] is None:
        return False
    at = known["first"] // coarse_s * coarse_s
    if known["last"] + fine_s < at + coarse_s:
        return False
    merged: Stretches = {}
    for part in fine.filter(at__gte=at, at__lt=at + coarse_s):
        merged.setdefault((part.queue, part.model), Stretch()).add(stretch_of(part))
    samples.write(coarse_s, at, merged)
    return True


def forget() -> None:
    """Also those from a time that has not come: the clock was wrong when they were written."""
    now = now_s()
    for every_s, kept_s in KEPT_S.items():
        old = Sample.objects.filter(Q(at__lt=now - kept_s) | Q(at__gt=now), every_s=every_s)
        if old.exists():
            old.delete()

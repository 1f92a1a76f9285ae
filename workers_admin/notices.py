"""Who is to be told of an incident, and has been: planned in its transaction, sent later, again until it gets through."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from types import ModuleType

from django.db.models import Exists, F, OuterRef, QuerySet

from predictions.clock import Clock
from predictions.models import utc_now
from workers_admin import mails, webhook
from workers_admin.models import Incident, Notice

log = logging.getLogger(__name__)
# Each says `whom()` it tells, "" where nobody set it up, and sends by `send(notice)`, or raises.
WAYS: Mapping[str, ModuleType] = {"e-mail": mails, "webhook": webhook}
IN_HAND_S = 120.0
"""For so long a notice is its sender's, longer than a try can last."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 600.0
GIVEN_UP_AFTER = timedelta(hours=24)


def ways() -> list[str]:
    """Those that are set up."""
    return [way for way, room in WAYS.items() if room.whom()]


def plan(incident: Incident, *, of_end: bool) -> None:
    """Its end is told to those who are told of its beginning."""
    begun = None if not of_end else set(incident.notices.values_list("way", flat=True))
    Notice.objects.bulk_create(
        Notice(incident=incident, of_end=of_end, way=way, whom=WAYS[way].whom()[:500], due=0.0)
        for way in ways()
        if begun is None or way in begun
    )


def send_due(way: str) -> int:
    """By one way; returns how many were told. Each try stands alone: two stewards never make the same."""
    return sum(_try(notice) for notice in _due(way).select_related("incident"))


def _due(way: str) -> QuerySet[Notice]:
    """An end waits until its beginning was told."""
    before = Notice.objects.filter(incident=OuterRef("incident"), way=way, of_end=False, due__isnull=False)
    return Notice.objects.filter(way=way, due__lte=Clock()).exclude(Exists(before), of_end=True)


def _try(notice: Notice) -> bool:
    mine = Notice.objects.filter(pk=notice.pk, tries=notice.tries, due__lte=Clock())
    if mine.update(tries=F("tries") + 1, due=Clock() + IN_HAND_S) == 0:
        return False
    try:
        WAYS[notice.way].send(notice)
    except Exception as error:  # whatever it was, the next notice is tried all the same
        _put_off(notice, str(error) or type(error).__name__)
        return False
    Notice.objects.filter(pk=notice.pk).update(told=utc_now(), due=None, error="")
    return True


def _put_off(notice: Notice, error: str) -> None:
    """Twice as long each time; after a day nobody wants to know any more."""
    log.warning("%s was not told by %s: %s", notice.incident.key, notice.way, error)
    moment = notice.incident.ended if notice.of_end else notice.incident.began
    is_over = moment is not None and utc_now() - moment > GIVEN_UP_AFTER
    pause_s = min(FIRST_PAUSE_S * 2 ** min(notice.tries, 20), LONGEST_PAUSE_S)
    Notice.objects.filter(pk=notice.pk).update(error=error[:300], due=None if is_over else Clock() + pause_s)


def told(incident: Incident) -> list[str]:
    """A line for each way: what was told whom, and why something was not."""
    by_way: dict[str, list[Notice]] = {}
    for notice in incident.notices.all():
        by_way.setdefault(notice.way, []).append(notice)
    return [f"{way} to {planned[0].whom}: {', '.join(map(_state, planned))}" for way, planned in by_way.items()]


def _state(notice: Notice) -> str:
    moment = "end" if notice.of_end else "begin"
    if notice.told:
        return moment
    return (
        f"{moment} {'not yet' if notice.due is not None else 'given up'}{f' ({notice.error})' if notice.error else ''}"
    )

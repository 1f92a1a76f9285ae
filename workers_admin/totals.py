"""How many jobs came and ended since counting began, for counters that never go back: the samples are added up as they are written.

Two stewards may do it at once: the row that is counted into also says up to when it counts.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import F, Max, Sum

from predictions.clock import now_s
from predictions.queues import QUEUES
from workers_admin.models import Sample, Total
from workers_admin.samples import EVERY_S
from workers_admin.stretches import COUNTS


def advance() -> None:
    """Take in the samples that were written since."""
    known = dict(Total.objects.values_list("queue", "until"))
    now = int(now_s())
    newest = Sample.objects.filter(every_s=EVERY_S, at__lt=now).aggregate(at=Max("at"))["at"]
    if newest is None or all(known.get(queue, -1) > newest for queue in QUEUES):
        return
    for queue in QUEUES:
        Total.objects.get_or_create(queue=queue)
        _take_in(queue, now)


def _take_in(queue: str, now: int) -> None:
    """What a clock that was wrong has put ahead of its time holds up nothing once it is right."""
    with transaction.atomic():
        total = Total.objects.select_for_update().get(queue=queue)
        new = Sample.objects.filter(
            every_s=EVERY_S, at__gte=min(total.until, now), at__lt=now, queue=queue, model=""
        ).aggregate(last=Max("at"), **{name: Sum(name) for name in COUNTS})
        if (last := new.pop("last")) is not None:
            added = {name: F(name) + number for name, number in new.items()}
            Total.objects.filter(pk=queue).update(until=last + EVERY_S, **added)

"""Which jobs go behind the others of their priority: those of an owner who already has many waiting."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.db import connection

from predictions.fresh import FreshJob

MANY_WAITING = 64
FRONT, BEHIND = 0, 1
# Looks no further than the 65th that waits, in the index `job_waiting_of_owner`: as quick with 100,000 waiting as with none.
HAVE_MANY = """
    WITH owner(id) AS (VALUES {ids})
    SELECT id FROM owner WHERE EXISTS (
        SELECT 1 FROM predictions_job WHERE owner_id = owner.id AND state = 'queued' LIMIT 1 OFFSET %s
    )
"""


def lane_of(owner_ids: Collection[int]) -> dict[int, int]:
    """The lane of each owner's next vector job."""
    with connection.cursor() as cursor:
        cursor.execute(HAVE_MANY.format(ids=", ".join(["(%s)"] * len(owner_ids))), [*owner_ids, MANY_WAITING])
        behind = {owner_id for (owner_id,) in cursor.fetchall()}
    return {owner_id: BEHIND if owner_id in behind else FRONT for owner_id in owner_ids}


def choose_lanes(jobs: Sequence[FreshJob]) -> None:
    """Asked once for all that are about to be inserted. Batches keep theirs: they take turns part by part."""
    lanes = lane_of({job.owner_id for job in jobs})
    for job in jobs:
        job.lane = lanes[job.owner_id]

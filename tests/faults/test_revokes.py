"""What the user was told of a revoke, and what became of the job."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from predictions.models import Job, Kind, State
from tests.faults.ledger import Entry
from tests.faults.report import Report
from tests.faults.sightings import claims
from tests.faults.world import World

pytestmark = pytest.mark.django_db(transaction=True)
SEED = 7
AT_ONCE = 32
MEAN_DELAY_S = 0.6


@pytest.mark.parametrize(("revokes", "vectors"), [(100, 150), pytest.param(1_000, 1_500, marks=pytest.mark.long)])
def test_revokes_at_random_moments_end_as_the_user_was_told(
    world: World, report: Report, revokes: int, vectors: int
) -> None:
    """Some jobs wait, some are in the middle of a pass, some have ended."""
    dice = random.Random(SEED)
    world.redis(), world.web(), world.steward()
    for _ in range(2):
        world.worker("realtime,batch", forward_s=0.05)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for entry in accepted_bit_by_bit(world, vectors, dice):
            if entry.kind == Kind.BATCH or dice.random() < revokes / vectors:
                pool.submit(revoke_soon, world, entry, dice.expovariate(1 / MEAN_DELAY_S))
    account = world.ledger.settle()
    told = Counter(world.ledger.revoke_answers.values())
    report.add(f"{told.total():,} revokes at random moments", account, None, **told)
    assert not account.faults and account.revoked == told["revoked"] + told["revoking"] > 0
    assert told.keys() <= {"revoked", "revoking", "409"}
    assert not ran_after_it_was_revoked(world)


def accepted_bit_by_bit(world: World, vectors: int, dice: random.Random) -> Iterator[Entry]:
    """A few at a time, so that the queue is short now and long then; now and then a file."""
    while vectors > 0:
        some = min(vectors, dice.randint(1, 40))
        yield from world.ledger.submit_digits(some)
        vectors -= some
        if dice.random() < 0.2 and (file := world.ledger.submit_file(60_000)):
            yield file
        time.sleep(dice.uniform(0, 0.05 * some))


def revoke_soon(world: World, entry: Entry, after_s: float) -> None:
    time.sleep(after_s)
    world.ledger.revoke(entry.id)


def ran_after_it_was_revoked(world: World) -> list[str]:
    """Jobs that somebody claimed after the answer `revoked`; what had never run then, never ran."""
    ledger = world.ledger
    answered = {str(pk): ledger.revokes_answered[pk] for pk, told in ledger.revoke_answers.items() if told == "revoked"}
    late = [entry.job for entry in claims(world) if entry.at > answered.get(entry.job, entry.at)]
    unbegun = Job.objects.filter(pk__in=answered, state=State.REVOKED, started=None).values_list("pk", flat=True)
    return late + [entry.job for entry in claims(world) if entry.job in {str(pk) for pk in unbegun}]

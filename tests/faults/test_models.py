"""A model's file that is altered while it is in use."""

from __future__ import annotations

import time

import pytest

from predictions import model_cards, workers
from tests.faults.report import Report
from tests.faults.sightings import claims, last_write_at, wait_for_event
from tests.faults.world import World, repeating
from tests.processes import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
ALTERED_FOR_S = 8.0


def test_jobs_wait_while_the_file_of_their_model_is_not_the_one_on_its_card(world: World, report: Report) -> None:
    world.redis(), world.web(), world.steward()
    path = model_cards.card("digits@1").path
    original = path.read_bytes()
    world.worker("realtime,batch", forward_s=0.02)
    world.ledger.submit_file(60_000)
    with repeating(world.ledger.submit_digit, 0.05):
        wait_for_event("accepted", world, 20)
        try:
            path.write_bytes(original + b"!")
            assert eventually(lambda: workers.nodes()[0].first.model_state == "failed", 60)
            before = len(claims(world))
            time.sleep(ALTERED_FOR_S)
            meanwhile = len(claims(world)) - before
        finally:
            path.write_bytes(original)
            restored = time.time()
        assert eventually(lambda: last_write_at(world) > restored, 60)
        again_s = min(entry.at for entry in world.executions() if entry.event == "accepted" and entry.at > restored)
    account = world.ledger.settle()
    report.add("a model's file altered under load", account, again_s - restored, claims_meanwhile=meanwhile)
    assert not account.faults and account.succeeded == account.accepted and meanwhile == 0

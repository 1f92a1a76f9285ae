from __future__ import annotations

import threading
import time

import pytest
from django.db import connection, transaction

from predictions import ticks

pytestmark = pytest.mark.django_db


def test_the_first_tick_has_no_age() -> None:
    assert ticks.age_s("steward") is None and ticks.tick("steward") is None


def test_a_tick_says_how_long_ago_the_last_one_was() -> None:
    ticks.tick("steward")
    ticks.Tick.objects.update(at=1.0)
    assert (ticks.tick("steward") or 0) > 1000 and (ticks.age_s("steward") or 0) < 5


@pytest.mark.django_db(transaction=True)
def test_a_database_that_was_shut_while_the_tick_was_written_counts_as_a_gap() -> None:
    ticks.tick("steward")
    locked = threading.Event()

    def shut() -> None:
        with transaction.atomic():
            ticks.Tick.objects.update(name="steward")
            locked.set()
            time.sleep(0.5)
        connection.close()

    other = threading.Thread(target=shut)
    other.start()
    assert locked.wait(5)
    assert (ticks.tick("steward") or 0) > 0.4
    other.join()

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID

import psycopg.errors
import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from predictions.model_cards import ModelCard
from predictions.models import Job
from predictions.row_locks import despite_deadlocks, in_id_order
from tests.predictions.jobs import submit_digit


def broken_by(cause: Exception) -> OperationalError:
    error = OperationalError(str(cause))
    error.__cause__ = cause
    return error


def test_what_a_deadlock_undid_is_done_again() -> None:
    deadlocks = [broken_by(psycopg.errors.DeadlockDetected("deadlock detected")) for _ in range(2)]

    def act() -> str:
        if deadlocks:
            raise deadlocks.pop()
        return "done"

    assert despite_deadlocks(act) == "done"


def test_another_error_of_the_database_is_not_hidden() -> None:
    tries = []

    def act() -> None:
        tries.append(1)
        raise broken_by(psycopg.errors.AdminShutdown("terminating connection"))

    with pytest.raises(OperationalError):
        despite_deadlocks(act)
    assert len(tries) == 1


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer: nobody waits for a row")
@pytest.mark.django_db(transaction=True)
def test_two_that_meet_in_opposite_orders_both_get_through(user: Any, digits: ModelCard, clean_redis: None) -> None:
    first, last = sorted(submit_digit(user, digits).pk for _ in range(2))
    both_hold_one, tries = threading.Barrier(2), []

    def take(one: UUID, other: UUID) -> None:
        def act() -> None:
            tries.append(one)
            with transaction.atomic():
                Job.objects.filter(pk=one).update(worker="taken")
                if len(tries) <= 2:
                    both_hold_one.wait(10)
                Job.objects.filter(pk=other).update(worker="taken")

        try:
            despite_deadlocks(act)
        finally:
            connection.close()

    threads = [threading.Thread(target=take, args=order) for order in ((first, last), (last, first))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tries) >= 3 and Job.objects.filter(worker="taken").count() == 2


@pytest.mark.django_db
def test_rows_are_locked_by_id_before_they_are_changed(user: Any, digits: ModelCard) -> None:
    jobs = [submit_digit(user, digits) for _ in range(3)]
    with CaptureQueriesContext(connection) as seen:
        assert in_id_order(Job.objects.filter(pk__in=[job.pk for job in jobs[:2]])).update(worker="mine") == 2
    assert "ORDER BY 1 ASC" in seen.captured_queries[0]["sql"]
    assert ("FOR UPDATE" in seen.captured_queries[0]["sql"]) == connection.features.has_select_for_update

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, connection, transaction

from predictions import audit
from predictions.audit import Audit
from predictions.errors import AppendOnly

pytestmark = pytest.mark.django_db
COLUMNS = [field.column for field in Audit._meta.fields]
TABLE = "predictions_audit"


@pytest.fixture
def entry(user: Any) -> Audit:
    return audit.write(user, "revoke", "job 1", "revoked", "10.0.0.7", {"status": "queued"}, {"status": "revoked"})


def refused(sql: str, *given: Any) -> bool:
    """Whether the database itself refuses it, whoever asks."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql, given)
    except IntegrityError as error:
        return "append-only" in str(error)
    return False


def test_the_orm_changes_and_deletes_no_entry(entry: Audit) -> None:
    entry.outcome = "never happened"
    for act in (entry.save, entry.delete, Audit.objects.all().delete, lambda: Audit.objects.update(outcome="")):
        with pytest.raises(AppendOnly):
            act()
    with pytest.raises(AppendOnly):
        Audit.objects.bulk_update([entry], ["outcome"])


@pytest.mark.parametrize("column", COLUMNS)
def test_the_database_changes_no_column_of_an_entry(entry: Audit, other_user: Any, column: str) -> None:
    other: Any = {"id": entry.pk + 1, "who_id": other_user.pk, "at": "2020-01-01 00:00:00+00"}.get(column)
    assert refused(f'UPDATE {TABLE} SET "{column}" = %s', other)


def test_the_database_deletes_and_replaces_no_entry(entry: Audit) -> None:
    assert refused(f"DELETE FROM {TABLE}")
    if connection.vendor == "postgresql":
        assert refused(f"SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE {TABLE}")
    else:
        columns = "id, at, who_name, action, subject, outcome"
        assert refused(f"INSERT OR REPLACE INTO {TABLE} ({columns}) SELECT {columns} FROM {TABLE}")
    assert Audit.objects.get() == entry


def test_an_entry_outlives_the_person(entry: Audit, user: Any) -> None:
    get_user_model().objects.filter(pk=user.pk).delete()
    entry.refresh_from_db()
    assert (entry.who, entry.who_name, entry.before) == (None, "ana", {"status": "queued"})


def test_a_refused_act_is_noted_ten_times_a_minute_at_most(user: Any, other_user: Any) -> None:
    for number in range(audit.REFUSALS_NOTED + 3):
        audit.note_refusal(user, f"/console/{number}", "not permitted")
    audit.note_refusal(other_user, "/console/", "not permitted")
    assert (
        Audit.objects.filter(who=user).count() == audit.REFUSALS_NOTED and Audit.objects.filter(who=other_user).exists()
    )

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from predictions.model_cards import ModelCard
from tests.roles.asking import ask
from tests.roles.people import COLUMNS, person
from tests.roles.table import with_refused_methods

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("role", COLUMNS)
def test_djangos_admin_answers_each_role_as_the_table_says(
    client: Client, role: str, user: Any, digits: ModelCard
) -> None:
    caller = person(role)
    wrong = {}
    for line in with_refused_methods("admin"):
        if caller:
            client.force_login(caller)
        status = ask(client, line, caller, user, digits)
        if status != line.expected[role]:
            wrong[str(line)] = f"{status}, not {line.expected[role]}"
    assert not wrong

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from predictions.model_cards import ModelCard
from tests.roles.asking import wrong_answers
from tests.roles.people import COLUMNS

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]


@pytest.mark.parametrize("role", COLUMNS)
def test_every_page_answers_each_role_as_the_table_says(
    client: Client, role: str, user: Any, digits: ModelCard
) -> None:
    assert not wrong_answers(client, "pages", role, user, digits)

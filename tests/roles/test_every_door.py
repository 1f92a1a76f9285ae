from __future__ import annotations

import pytest

from predictions import rights
from tests.roles import routes
from tests.roles.table import lines


def test_every_page_has_its_lines_in_the_table() -> None:
    told = {line.route for name in ("pages", "admin") for line in lines(name)}
    told |= {line.route for line in lines("doors") if f"/{line.route}" == "/drafts/"}
    assert set(routes.pages()) == told


@pytest.mark.parametrize(("name", "found"), [("calls", routes.calls), ("doors", routes.doors)])
def test_every_call_and_every_door_before_django_has_its_lines(name: str, found: object) -> None:
    assert callable(found)
    assert {(method, f"/{route.removeprefix('/')}") for method, route in found()} == {
        (line.method, f"/{line.route}") for line in lines(name)
    }


def test_every_socket_has_its_lines() -> None:
    assert set(routes.sockets()) == {line.route for line in lines("sockets")}


def test_every_permission_belongs_to_a_role_and_the_administrator_has_all() -> None:
    assert rights.ROLES["administrator"] == rights.ALL == frozenset().union(*rights.ROLES.values())

"""Reads the tables of who is answered what: tests/roles/*.txt, a line for each method, address and, where it matters, whose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.roles.people import COLUMNS

WHOSE = ("own", "theirs")
RECORDS = (
    "django_celery_results/taskresult",
    "predictions/apikey",
    "predictions/audit",
    "predictions/job",
    "predictions/worker",
)
"""What Django's admin shows and never changes."""


@dataclass(frozen=True, eq=False)
class Line:
    """whose: the thing in the address is the caller's own, or somebody else's; "": there is none."""

    method: str
    route: str
    whose: str
    expected: dict[str, int]

    def __str__(self) -> str:
        return " ".join(part for part in (self.method, f"/{self.route}", self.whose) if part)


def lines(name: str) -> list[Line]:
    text = (Path(__file__).parent / f"{name}.txt").read_text()
    return [_line(each) for line in text.splitlines() if line and not line.startswith("#") for each in _all_of(line)]


def with_refused_methods(name: str) -> list[Line]:
    """A method that has no line at an address that has one is answered 405 to everybody."""
    told = lines(name)
    missing = {(method, line.route) for line in told for method in ("GET", "POST")} - {
        (line.method, line.route) for line in told
    }
    return [*told, *(Line(method, route, "", dict.fromkeys(COLUMNS, 405)) for method, route in sorted(missing))]


def _all_of(line: str) -> list[str]:
    return [line.replace("{record}", record) for record in RECORDS] if "{record}" in line else [line]


def _line(text: str) -> Line:
    method, route, *rest = text.split()
    whose = rest.pop(0) if rest[0] in WHOSE else ""
    assert len(rest) == len(COLUMNS), text
    return Line(method, route.removeprefix("/"), whose, dict(zip(COLUMNS, map(int, rest), strict=True)))

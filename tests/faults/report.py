"""The table of faults: one line a test, printed at the end of the run and appended to FAULTS_REPORT as JSON where that is set."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.ledger import Account

FAULT = "fault"
"""Under this name a test's report carries its lines."""
COLUMNS = ("accepted", "succeeded", "failed", "revoked", "lost", "twice", "wrong")


@dataclass(frozen=True)
class Line:
    """worst_s: from the fault until the work went on. figures: what else this test measured, with its unit in the name."""

    fault: str
    account: Account
    worst_s: float | None = None
    figures: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Line:
        return cls(**saved | {"account": Account(**saved["account"])})


class Report:
    def __init__(self, lines: Iterable[Line] = ()) -> None:
        self.lines = list(lines)

    def add(self, fault: str, account: Account, worst_s: float | None = None, **figures: float) -> None:
        line = Line(fault, account, worst_s, figures)
        self.lines.append(line)
        if path := os.environ.get("FAULTS_REPORT"):
            with Path(path).open("a") as file:
                file.write(json.dumps(line.as_dict()) + "\n")

    def adopt(self, lines: Path) -> None:
        """What a run of its own has appended to its FAULTS_REPORT."""
        for saved in lines.read_text().splitlines():
            line = Line.from_dict(json.loads(saved))
            self.add(line.fault, line.account, line.worst_s, **line.figures)

    def as_text(self) -> str:
        rows = [_cells(line) for line in self.lines]
        heads = ["fault", *COLUMNS, "worst s", "figures"]
        widths = [max(len(row[at]) for row in [heads, *rows]) for at in range(len(heads))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [heads, *rows]
        )


def _cells(line: Line) -> list[str]:
    figures = ", ".join(f"{name} {value:g}" for name, value in line.figures.items())
    worst = "" if line.worst_s is None else f"{line.worst_s:.1f}"
    return [line.fault, *(str(getattr(line.account, name)) for name in COLUMNS), worst, figures]

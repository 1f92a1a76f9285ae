"""The files that are scored: 64 columns of numbers as instruments write them, 366 bytes a row, always the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np

WIDTH = 64
AT_ONCE = 10_000
BAD_CELL = "x1"
HEADER = ",".join(f"pixel_{at // 8}_{at % 8}" for at in range(WIDTH)) + "\n"
THREE_DECIMALS = np.array([f"{value / 1000:g}" for value in range(10_000)])
SIGNED = np.array([f"{value / 100:g}" for value in range(-1000, 1600)])


def table(folder: Path, rows: int, every_second_bad: bool = False) -> Path:
    """A CSV file, made once. every_second_bad: each other row has one cell that is no number."""
    file = folder / f"{rows}{'-bad' if every_second_bad else ''}.csv"
    if not file.exists():
        _write(file, rows, every_second_bad)
    return file


def rows_as_lists(file: Path) -> list[list[float]]:
    with file.open() as lines:
        next(lines)
        return [[float(cell) for cell in line.split(",")] for line in lines]


def _write(file: Path, rows: int, every_second_bad: bool) -> None:
    numbers = np.random.default_rng(0)
    with file.open("w") as out:
        out.write(HEADER)
        for start in range(0, rows, AT_ONCE):
            count = min(AT_ONCE, rows - start)
            cells = np.empty((count, WIDTH), object)
            cells[:, ::2] = THREE_DECIMALS[numbers.integers(0, len(THREE_DECIMALS), (count, WIDTH // 2))]
            cells[:, 1::2] = SIGNED[numbers.integers(0, len(SIGNED), (count, WIDTH // 2))]
            if every_second_bad:
                cells[1::2, 7] = BAD_CELL
            out.write("\n".join(map(",".join, cells.tolist())) + "\n")

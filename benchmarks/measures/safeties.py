"""What each safety costs: the drain once more, by workers that lack one of them (benchmarks/weakened.py)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from benchmarks.figures import Round, Runs, alternate
from benchmarks.measures.drain import drained_by
from benchmarks.product import starting_worker
from benchmarks.stage import ROUNDS, Stage, say

SAFETIES = ("claim", "lease", "history", "hub")


def safeties(on: Stage) -> Runs:
    weaker = {f"without {safety}": partial(_without, on, safety) for safety in SAFETIES}
    return alternate(ROUNDS, {"ours": partial(drained_by, on, starting_worker, on.served), **weaker}, say)


def _without(on: Stage, safety: str) -> Round:
    weakened = replace(on.served, env=on.served.env | {"WITHOUT": safety})
    return drained_by(on, partial(starting_worker, app="benchmarks.weakened"), weakened)

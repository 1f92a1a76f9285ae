"""500 sockets while 200 jobs a second change (benchmarks/sockets.py)."""

from __future__ import annotations

import uvloop

from benchmarks import sockets
from benchmarks.figures import Runs, alternate
from benchmarks.stage import IS_QUICK, ROUNDS, Stage, say


def live(on: Stage) -> Runs:
    runs = alternate(1 if IS_QUICK else min(ROUNDS, 3), {"ours": lambda: _scene(on)}, say)
    on.clear()
    return runs


def _scene(on: Stage) -> dict[str, float]:
    return uvloop.run(sockets.play(on.served, sockets.SCENES["one"]))

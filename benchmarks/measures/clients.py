"""32 clients that submit and wait; 32 clients that only submit, while nobody works."""

from __future__ import annotations

from benchmarks.database import database
from benchmarks.figures import Runs, alternate
from benchmarks.processes import Spending
from benchmarks.sides import load
from benchmarks.stage import IS_QUICK, ROUNDS, Stage, say, workers

CLIENTS = 32
WAIT_S = 5.0 if IS_QUICK else 15.0
SUBMIT_S = 2.0 if IS_QUICK else 4.0
WARM_UP_S = 1.0


def waiting_clients(on: Stage) -> Runs:
    with workers(on) as pids:

        def ours(seconds: float = WAIT_S) -> dict[str, float]:
            spending = Spending({**on.served.pids, "worker": pids["ours"]})
            return load(on.served.port, on.ours.predict, CLIENTS, seconds, spending)

        def plain(seconds: float = WAIT_S) -> dict[str, float]:
            spending = Spending({**on.recipe.pids, "worker": pids["plain"]})
            return load(on.recipe.port, on.plain.predict, CLIENTS, seconds, spending)

        ours(WARM_UP_S), plain(WARM_UP_S)
        return alternate(ROUNDS, {"ours": ours, "plain": plain}, say)


def submitting_clients(on: Stage) -> Runs:
    """Each accepted job of ours must be in the database."""

    def ours() -> dict[str, float]:
        found = load(on.served.port, on.ours.submit, CLIENTS, SUBMIT_S, Spending(on.served.pids))
        with database(on.served) as stored:
            found["stored"] = stored.value("SELECT count(*) FROM predictions_job WHERE state = 'queued'")
        on.clear()
        return found

    def plain() -> dict[str, float]:
        found = load(on.recipe.port, on.plain.submit, CLIENTS, SUBMIT_S, Spending(on.recipe.pids))
        found["stored"] = float(on.recipe.broker().llen("realtime"))
        on.clear()
        return found

    load(on.served.port, on.ours.submit, CLIENTS, WARM_UP_S, Spending({}))
    load(on.recipe.port, on.plain.submit, CLIENTS, WARM_UP_S, Spending({}))
    on.clear()
    return alternate(ROUNDS, {"ours": ours, "plain": plain}, say)

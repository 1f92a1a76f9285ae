"""The product's Celery app with a witness: each claim and each finish goes to the execution log. `celery -A tests.faults.watched`.

EXECUTION_LOG names the log. FORWARD_S makes each forward pass last that long, ROW_S that long for each row, so that a fault can meet a
job in the middle.
POISON, the number of a digit, kills the process at that digit; HOLD_GIL_S keeps every other thread from running in a pass;
CUT_OFF names a file: while it is there, this process does not reach its database.
WITHOUT names protections to switch off (weakened.py), to show that a test notices.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any
from uuid import UUID

from celery.signals import celeryd_after_setup

from inference_site.celery import app
from tests.faults import executions

__all__ = ["app"]


@celeryd_after_setup.connect
def watch(**_: Any) -> None:
    from predictions import leases, outcomes, turns
    from predictions.worker import runtime
    from tests.faults import weakened

    weakened.switch_off(os.environ.get("WITHOUT", ""))
    leases.claim_jobs = watch_claims(leases.claim_jobs)
    leases.claim_chunk = watch_claim(leases.claim_chunk)
    outcomes.finish = watch_finish(outcomes.finish)
    outcomes.succeed_together = watch_successes(outcomes.succeed_together)
    turns.finish_chunk = watch_chunk(turns.finish_chunk)
    forward_s, row_s = (float(os.environ.get(name, "0")) for name in ("FORWARD_S", "ROW_S"))
    if forward_s or row_s:
        runtime.Model.probabilities = slowed(runtime.Model.probabilities, forward_s, row_s)  # type: ignore[method-assign]
    spoil(os.environ)


def spoil(env: Mapping[str, str]) -> None:
    from predictions.worker import runtime
    from tests.faults import spoiled

    if poison := env.get("POISON"):
        runtime.Model.probabilities = spoiled.poisoned(runtime.Model.probabilities, int(poison))  # type: ignore[method-assign]
    if hold_s := env.get("HOLD_GIL_S"):
        runtime.Model.probabilities = spoiled.holding_the_gil(runtime.Model.probabilities, int(hold_s))  # type: ignore[method-assign]
    if cut_off := env.get("CUT_OFF"):
        spoiled.cut_off_from_the_database(Path(cut_off))


def watch_claims(claim_jobs: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(claim_jobs)
    def watched(job_ids: Sequence[UUID], *given: Any) -> Any:
        held = {claim.job_id: claim for claim in claim_jobs(job_ids, *given)}
        for job_id in job_ids:
            if job_id in held:
                executions.write("claimed", job_id, None, held[job_id].attempt)
            else:
                executions.write("nothing", job_id, None, 0)
        return list(held.values())

    return watched


def watch_successes(succeed_together: Callable[..., Any]) -> Callable[..., Any]:
    """What it did not end is asked of `finish`, which is watched as well."""

    @wraps(succeed_together)
    def watched(scored: Sequence[Any]) -> Any:
        ended = succeed_together(scored)
        for claim, _ in scored:
            if claim.job_id in ended:
                executions.write("accepted", claim.job_id, None, claim.attempt)
        return ended

    return watched


def watch_claim(claim: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(claim)
    def watched(job_id: UUID, *given: Any) -> Any:
        held = claim(job_id, *given)
        if held is None:
            executions.write("nothing", job_id, None, 0)
        else:
            executions.write("claimed", job_id, held.chunk.number, held.attempt)
        return held

    return watched


def watch_finish(finish: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(finish)
    def watched(job_id: UUID, attempt: int, *given: Any, **named: Any) -> Any:
        state = finish(job_id, attempt, *given, **named)
        executions.write("refused" if state is None else "accepted", job_id, None, attempt)
        return state

    return watched


def watch_chunk(finish_chunk: Callable[..., Any]) -> Callable[..., Any]:
    """The next chunk may come with it."""

    @wraps(finish_chunk)
    def watched(claim: Any, scored: Any, turn: Any = None) -> Any:
        state = finish_chunk(claim, scored, turn)
        executions.write("refused" if state is None else "accepted", claim.job.pk, claim.chunk.number, claim.attempt)
        if turn and turn.claim:
            executions.write("claimed", claim.job.pk, turn.claim.chunk.number, turn.claim.attempt)
        return state

    return watched


def slowed(forward: Callable[..., Any], forward_s: float, row_s: float) -> Callable[..., Any]:
    @wraps(forward)
    def watched(model: Any, x: Any) -> Any:
        time.sleep(forward_s + len(x) * row_s)
        return forward(model, x)

    return watched

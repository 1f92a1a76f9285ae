"""Revoking many jobs in one act: what becomes of each kind, whoever else has them in hand."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_celery_results.models import TaskResult

from predictions import bulk_revocation, going_on, outcomes
from predictions.audit import Audit
from predictions.bulk_revocation import (
    HAD_ENDED,
    NEVER_STARTED,
    STOPPED,
    STOPPING,
    Act,
    Foreseen,
    begin_to_revoke,
    foresee,
    revoke_many,
)
from predictions.model_cards import ModelCard
from predictions.models import OPEN, Chunk, Job, State
from tests.predictions.jobs import SUCCESS, claimed, claimed_chunk, now, submit_digit, submit_rows
from tests.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def act(by: Any, **chosen: Any) -> Act:
    return Act(by, "127.0.0.1", "all that match queue realtime", chosen)


def ended(user: Any, digits: ModelCard) -> Job:
    claim = claimed(submit_digit(user, digits))
    outcomes.finish(claim.job.pk, claim.attempt, SUCCESS)
    return now(claim.job)


def of_each_kind(user: Any, digits: ModelCard) -> dict[str, Job]:
    idle = submit_rows(user, digits, rows=4)
    claimed_chunk(idle)
    Chunk.objects.filter(job=idle).update(state=Chunk.State.QUEUED)
    return {
        "vector that waits": submit_digit(user, digits),
        "batch that waits": submit_rows(user, digits, rows=3),
        "vector that runs": claimed(submit_digit(user, digits)).job,
        "batch that runs": claimed_chunk(submit_rows(user, digits, rows=3)).job,
        "batch between two turns": idle,
        "ended": ended(user, digits),
    }


def test_each_kind_is_told_before_and_after(user: Any, digits: ModelCard) -> None:
    jobs = of_each_kind(user, digits)
    assert foresee(Job.objects.filter(state__in=OPEN)) == Foreseen(2, 2, 1, 0, is_least=False)
    counts = revoke_many([job.pk for job in jobs.values()], act(user))
    assert counts == {NEVER_STARTED: 2, STOPPING: 2, STOPPED: 1, HAD_ENDED: 1}
    assert bulk_revocation.told(counts) == "2 never started, 2 stopping, 1 stopped, 1 had already ended"


def test_each_is_then_as_if_it_had_been_revoked_alone(user: Any, digits: ModelCard) -> None:
    jobs = of_each_kind(user, digits)
    revoke_many([job.pk for job in jobs.values()], act(user))
    assert {name: now(job).status for name, job in jobs.items()} == {
        "vector that waits": "revoked",
        "batch that waits": "revoked",
        "vector that runs": "revoking",
        "batch that runs": "revoking",
        "batch between two turns": "revoked",
        "ended": "succeeded",
    }


def test_what_has_ended_by_it_has_its_outcome_and_its_times(user: Any, digits: ModelCard) -> None:
    jobs = [submit_digit(user, digits) for _ in range(3)]
    revoke_many([job.pk for job in jobs], act(user))
    rows = TaskResult.objects.filter(task_id__in=[str(job.pk) for job in jobs], status="REVOKED")
    assert rows.count() == 3
    assert all(now(job).finished and now(job).expires and now(job).publish_at is None for job in jobs)


def test_what_is_being_stopped_already_is_left_as_it_is(user: Any, digits: ModelCard) -> None:
    job = claimed(submit_digit(user, digits)).job
    revoke_many([job.pk], act(user))
    version = now(job).version
    assert revoke_many([job.pk], act(user)) == {STOPPING: 1} and now(job).version == version


def test_an_act_of_one_transaction_is_one_entry_with_how_they_were_chosen(user: Any, digits: ModelCard) -> None:
    revoke_many([submit_digit(user, digits).pk for _ in range(2)], act(user, filter="queue=realtime"), gone=1)
    entry = Audit.objects.get()
    assert (entry.who_name, entry.subject, entry.address) == ("ana", "all that match queue realtime", "127.0.0.1")
    assert entry.outcome == "2 never started, 1 had already ended"
    assert (entry.before, entry.after) == ({"filter": "queue=realtime"}, {NEVER_STARTED: 2, HAD_ENDED: 1})


def test_each_ones_own_timeline_says_who_revoked_it_and_that_there_were_others(user: Any, digits: ModelCard) -> None:
    waits, runs = submit_digit(user, digits), claimed(submit_digit(user, digits)).job
    over, stopping = ended(user, digits), claimed(submit_digit(user, digits)).job
    revoke_many([stopping.pk], act("olga"))
    revoke_many([waits.pk, runs.pk, over.pk, stopping.pk], act(user))
    told = {job: [event.text for event in job.events.all()] for job in (waits, runs, over, stopping)}
    of_four = ["Revoked by ana, one of 4 jobs"]
    assert told == {waits: of_four, runs: of_four, over: [], stopping: ["Revoked by olga"]}


def test_a_longer_act_says_in_its_first_transaction_what_is_to_come(
    user: Any, digits: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_revocation, "AT_ONCE", 2)
    assert revoke_many([submit_digit(user, digits).pk for _ in range(5)], act(user)) == {NEVER_STARTED: 5}
    told = list(Audit.objects.order_by("pk").values_list("outcome", flat=True))
    assert told == ["begun: 5 jobs, 2 in a transaction", "5 never started"]


def test_what_takes_longer_than_a_moment_goes_on_after_the_answer(
    user: Any, digits: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_revocation, "AT_ONCE", 2)
    monkeypatch.setattr(going_on, "MOMENT_S", 0.0)
    jobs = [submit_digit(user, digits) for _ in range(5)]
    words = begin_to_revoke([job.pk for job in jobs], act(user), gone=1)
    assert words == "2 never started, 1 had already ended so far. 3 more follow, also when this page is closed."
    assert eventually(lambda: Audit.objects.filter(outcome="5 never started, 1 had already ended").exists())
    assert {now(job).state for job in jobs} == {State.REVOKED}


def test_many_cost_no_more_statements_than_a_few(user: Any, digits: ModelCard) -> None:
    def statements(number: int) -> int:
        ids = [submit_digit(user, digits).pk for _ in range(number)]
        with CaptureQueriesContext(connection) as asked:
            revoke_many(ids, act(user))
        return sum("INSERT INTO django_celery" not in each["sql"] for each in asked)

    assert statements(30) == statements(3)


def test_a_job_that_a_worker_ends_meanwhile_has_one_outcome(user: Any, digits: ModelCard) -> None:
    """Whoever comes first: what succeeded is told as ended, and what is told as stopping is never a success."""
    claims = [claimed(submit_digit(user, digits)) for _ in range(20)]
    waiting = [submit_digit(user, digits) for _ in range(20)]
    start = threading.Barrier(2)

    def work() -> None:
        start.wait()
        for claim in claims:
            outcomes.finish(claim.job.pk, claim.attempt, SUCCESS)
        connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    start.wait()
    counts = revoke_many([*(claim.job.pk for claim in claims), *(job.pk for job in waiting)], act(user))
    worker.join()
    states = Counter(Job.objects.values_list("state", flat=True))
    assert states[State.SUCCEEDED] == counts[HAD_ENDED] and states[State.REVOKED] == 40 - counts[HAD_ENDED]
    statuses = Counter(TaskResult.objects.values_list("status", flat=True))
    assert statuses == {
        key: value for key, value in {"SUCCESS": counts[HAD_ENDED], "REVOKED": 40 - counts[HAD_ENDED]}.items() if value
    }

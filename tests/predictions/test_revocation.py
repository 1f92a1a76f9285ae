from __future__ import annotations

from typing import Any

import pytest
from django_celery_results.models import TaskResult

from predictions import outcomes, revocation
from predictions.audit import Audit
from predictions.errors import WrongState
from predictions.model_cards import ModelCard
from predictions.models import State
from tests.predictions.jobs import SUCCESS, claimed, now, submit_digit, submit_rows

pytestmark = pytest.mark.django_db


def test_a_queued_job_is_revoked_at_once_and_has_its_outcome(user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    assert revocation.revoke(job, user).status == "revoked"
    assert TaskResult.objects.get(task_id=str(job.pk)).status == "REVOKED"


def test_a_queued_batch_is_revoked_at_once(user: Any, digits: ModelCard) -> None:
    assert revocation.revoke(submit_rows(user, digits, rows=4), user).state == State.REVOKED


def test_a_running_job_is_revoking_until_its_worker_ends_it(user: Any, digits: ModelCard) -> None:
    claim = claimed(submit_digit(user, digits))
    assert revocation.revoke(claim.job, user).status == "revoking"


def test_a_job_that_has_ended_cannot_be_revoked_and_keeps_its_outcome(user: Any, digits: ModelCard) -> None:
    claim = claimed(submit_digit(user, digits))
    outcomes.finish(claim.job.pk, claim.attempt, SUCCESS)
    with pytest.raises(WrongState, match="it is succeeded"):
        revocation.revoke(claim.job, user)
    assert now(claim.job).state == State.SUCCEEDED and TaskResult.objects.get().status == "SUCCESS"


def test_a_revocation_is_audited_with_who_and_from_where(user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    revocation.revoke(job, user, "127.0.0.1")
    row = Audit.objects.get()
    assert (row.who_name, row.action, row.subject, row.outcome, row.address) == (
        "ana",
        "revoke",
        f"job {job.pk}",
        "revoked",
        "127.0.0.1",
    )


def test_the_jobs_own_timeline_says_who_revoked_it(user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    revocation.revoke(job, user)
    assert [event.text for event in job.events.all()] == ["Revoked by ana"]

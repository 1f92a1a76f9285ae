from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from predictions import expiry, outcomes
from predictions.audit import Audit
from predictions.errors import WrongState
from predictions.model_cards import ModelCard
from predictions.models import Job, State, utc_now
from tests.predictions.jobs import SUCCESS, claimed, now, submit_digit
from workers_admin import keeping, kept_results

pytestmark = pytest.mark.django_db


@pytest.fixture
def succeeded(user: Any, digits: ModelCard) -> Job:
    claim = claimed(submit_digit(user, digits))
    outcomes.finish(claim.job.pk, claim.attempt, SUCCESS)
    return now(claim.job)


def test_a_kept_result_does_not_expire_until_it_is_let_go(succeeded: Job, staff: Any) -> None:
    keeping.keep([succeeded], staff)
    Job.objects.filter(pk=succeeded.pk).update(expires=utc_now() - timedelta(hours=1))
    assert expiry.expire_results() == 0 and kept_results.kept() == [succeeded]
    keeping.let_expire([succeeded], staff)
    assert expiry.expire_results() == 1 and now(succeeded).state == State.EXPIRED


def test_a_result_that_is_removed_now_is_gone_and_says_what_it_freed(succeeded: Job, staff: Any) -> None:
    keeping.remove_now([succeeded], staff, "127.0.0.1")
    assert now(succeeded).state == State.EXPIRED and outcomes.results_of([succeeded.pk]) == {}
    freed = now(succeeded).freed_bytes
    assert freed and Audit.objects.get().outcome == f"removed, {freed:,} bytes freed"
    assert kept_results.removed() == kept_results.Removed(1, freed, is_least=False)


def test_a_kept_result_that_is_removed_is_kept_no_longer(succeeded: Job, staff: Any) -> None:
    keeping.keep([succeeded], staff)
    keeping.remove_now([succeeded], staff)
    assert not now(succeeded).kept


def test_a_result_that_is_gone_cannot_be_kept(succeeded: Job, staff: Any) -> None:
    keeping.remove_now([succeeded], staff)
    with pytest.raises(WrongState, match="The job is expired and has no stored result"):
        keeping.keep([now(succeeded)], staff)
    assert Audit.objects.count() == 1


def test_what_expires_within_the_hour_is_counted_and_listed_soonest_first(
    succeeded: Job, user: Any, digits: ModelCard
) -> None:
    claim = claimed(submit_digit(user, digits))
    outcomes.finish(claim.job.pk, claim.attempt, SUCCESS)
    Job.objects.filter(pk=claim.job.pk).update(expires=utc_now() + timedelta(minutes=5))
    Job.objects.filter(pk=succeeded.pk).update(expires=utc_now() + timedelta(minutes=50))
    assert kept_results.expiring() == [claim.job, succeeded] and kept_results.expiring_count().number == 2

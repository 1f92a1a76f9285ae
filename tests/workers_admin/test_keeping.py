from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django_celery_results.models import TaskResult

from predictions import expiry, outcomes, revocation
from predictions.audit import Audit
from predictions.errors import WrongState
from predictions.model_cards import ModelCard
from predictions.models import Chunk, Job, State, utc_now
from tests.predictions.jobs import SUCCESS, claimed, now, submit_digit, submit_rows
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


def test_what_a_stopped_batch_had_kept_is_counted_once_it_is_removed(user: Any, staff: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=3)
    Chunk.objects.filter(job=job).update(result_bytes=70_000)
    revocation.revoke(job, user)
    said = keeping.remove_now([now(job)], staff)
    freed = now(job).freed_bytes
    assert said == f"1 result removed. {freed:,} bytes were freed, those of files in an hour." and freed > 70_000
    assert kept_results.removed() == kept_results.Removed(1, freed, is_least=False)
    assert kept_results.removed_lately() == [job] and now(job).state == State.REVOKED


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


def several(user: Any, digits: ModelCard, number: int = 3) -> list[Job]:
    claims = [claimed(submit_digit(user, digits)) for _ in range(number)]
    for claim in claims:
        outcomes.finish(claim.job.pk, claim.attempt, SUCCESS)
    return [now(claim.job) for claim in claims]


def test_many_are_kept_in_one_act_with_one_entry(user: Any, staff: Any, digits: ModelCard) -> None:
    jobs = [*several(user, digits), submit_digit(user, digits)]
    assert keeping.keep(jobs, staff) == "3 results kept, 1 had no stored result."
    assert Job.objects.filter(kept=True).count() == 3
    entry = Audit.objects.get()
    assert (entry.subject, entry.outcome) == ("4 selected jobs", "3 kept, 1 had no stored result")
    assert (entry.before["kept"], entry.after) == (0, {"kept": 3})


def test_many_are_removed_in_one_act_that_says_what_it_freed(user: Any, staff: Any, digits: ModelCard) -> None:
    jobs = several(user, digits)
    said = keeping.remove_now(jobs, staff)
    freed = sum(now(job).freed_bytes for job in jobs)
    assert said == f"3 results removed. {freed:,} bytes were freed." and freed > 0
    assert {now(job).state for job in jobs} == {State.EXPIRED} and outcomes.results_of([job.pk for job in jobs]) == {}
    assert Audit.objects.get().outcome == f"3 removed, {freed:,} bytes freed"


def test_each_ones_own_timeline_says_who_removed_its_result(user: Any, staff: Any, digits: ModelCard) -> None:
    first, second, without = *several(user, digits, 2), submit_digit(user, digits)
    keeping.remove_now([first, second, without], staff)
    told = [[event.text for event in job.events.all()] for job in (first, second, without)]
    assert told == [["Result removed by olga, one of 2"]] * 2 + [[]]


def test_each_of_many_knows_what_its_own_result_freed(user: Any, digits: ModelCard) -> None:
    small, large = several(user, digits, 2)
    TaskResult.objects.filter(task_id=str(large.pk)).update(result="7" * 5_000)
    assert expiry.expire_many([small.pk, large.pk])[large.pk] == 5_000
    assert now(large).freed_bytes == 5_000 and now(small).freed_bytes < 1_000


def test_none_of_many_that_has_a_result_is_refused(user: Any, staff: Any, digits: ModelCard) -> None:
    jobs = [submit_digit(user, digits) for _ in range(2)]
    with pytest.raises(WrongState, match="None of the 2 jobs has a stored result"):
        keeping.remove_now(jobs, staff)
    assert not Audit.objects.exists()

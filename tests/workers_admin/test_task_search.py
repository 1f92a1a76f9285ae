"""Finding a job's task on the page of results, and how far a search looks."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django_celery_results.models import TaskResult

from predictions import bounded_looks, outcomes
from predictions.model_cards import ModelCard
from predictions.models import Job, State, new_id
from predictions.outcomes import Ending
from tests.predictions.jobs import SUCCESS, claimed, now, submit_digit
from workers_admin import task_search
from workers_admin.task_search import TaskSearch

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]
ROW = re.compile(r'<tr id="found-([0-9a-f-]{36})"')


@pytest.fixture
def console(client: Client, staff: Any) -> Client:
    client.force_login(staff)
    return client


def ended(owner: Any, card: ModelCard, ending: Ending = SUCCESS) -> Job:
    claim = claimed(submit_digit(owner, card))
    outcomes.finish(claim.job.pk, claim.attempt, ending)
    return now(claim.job)


def failed(owner: Any, card: ModelCard, sentence: str) -> Job:
    error = {"code": "worker_error", "message": sentence}
    return ended(owner, card, Ending(State.FAILED, error=error, traceback="Traceback: in score"))


def page(client: Client, **asked: str) -> str:
    return client.get(reverse("console_results"), asked).content.decode()


def found(client: Client, **asked: str) -> list[str]:
    return ROW.findall(page(client, **asked))


def ids(*jobs: Job) -> list[str]:
    return [str(job.pk) for job in jobs]


def test_a_task_is_found_by_its_id_whole_or_by_either_end(console: Client, user: Any, digits: ModelCard) -> None:
    job, _ = ended(user, digits), Job.objects.filter(pk=submit_digit(user, digits).pk).delete()
    whole = str(job.pk)
    for given in (whole, whole.replace("-", "").upper(), whole[-8:], whole[:18], whole[-20:]):
        assert found(console, id=given) == [whole]


def test_what_is_no_id_is_said_so(console: Client) -> None:
    assert "&#x27;job 7&#x27; is no id. Give a whole one, or its beginning or end" in page(console, id="job 7")


def test_a_user_whom_nobody_knows_is_said_so(console: Client) -> None:
    assert "There is no user &#x27;nobody&#x27;." in page(console, user="nobody", error="cuda")


def test_what_moves_on_the_page_is_asked_for_by_the_same_words(console: Client, user: Any, digits: ModelCard) -> None:
    submit_digit(user, digits)
    shown = page(console, user="ana", before="no id")
    assert ROW.findall(shown) == [] and "view=results&amp;user=ana&amp;before=no+id" in shown


def test_a_task_is_found_by_model_and_by_user(console: Client, user: Any, other_user: Any, digits: ModelCard) -> None:
    mine, other = ended(user, digits), ended(other_user, digits)
    Job.objects.filter(pk=other.pk).update(model="older@3")
    assert found(console, model="digits@1") == found(console, model="digits") == ids(mine)
    assert found(console, model="older@3") == found(console, user="ben") == ids(other)
    assert found(console, user="ben", model="digits@1") == found(console, user="nobody") == []


def test_a_task_is_found_by_the_words_of_its_error(console: Client, user: Any, digits: ModelCard) -> None:
    job = failed(user, digits, "CUDA ran out of memory.")
    failed(user, digits, "Another cause.")
    assert found(console, error="OUT OF memory") == found(console, error="cuda", user="ana") == ids(job)
    assert found(console, error="cuda", user="nobody") == []


def test_newer_tasks_come_first_and_pages_follow_by_key(
    console: Client, user: Any, digits: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_search, "PAGE", 2)
    jobs = [submit_digit(user, digits) for _ in range(3)]
    assert found(console, user="ana") == ids(jobs[2], jobs[1])
    assert f'href="?user=ana&amp;before={jobs[1].pk}"' in page(console, user="ana")
    assert found(console, user="ana", before=str(jobs[1].pk)) == ids(jobs[0])


def test_a_look_ends_at_its_bound_says_so_and_goes_on_from_there(
    console: Client, user: Any, digits: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_looks, "LOOKED_AT", 2)
    monkeypatch.setattr(task_search, "LOOKED_AT", 2)
    old, second, _ = (failed(user, digits, words) for words in ("rare words", "usual", "usual"))
    shown = page(console, error="rare")
    assert "Looked at the newest 2 failed jobs." in shown and "Older jobs were not looked at." in shown
    assert f"before={second.pk}" in shown and "Look further" in shown
    assert found(console, error="rare", before=str(second.pk)) == ids(old)


def test_a_look_that_reached_the_oldest_job_says_nothing_of_a_bound(
    console: Client, user: Any, digits: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_looks, "LOOKED_AT", 2)
    job = failed(user, digits, "rare words")
    failed(user, digits, "usual")
    shown = page(console, error="rare")
    assert ROW.findall(shown) == ids(job) and "Looked at" not in shown


def test_the_row_of_django_celery_results_is_shown(console: Client, user: Any, digits: ModelCard) -> None:
    job = ended(user, digits)
    shown = page(console, id=str(job.pk))
    assert ">SUCCESS</a>" in shown and "realtime@test" in shown and "&quot;confidence&quot;" in shown


def test_a_task_has_a_page_with_its_result_and_its_traceback(console: Client, user: Any, digits: ModelCard) -> None:
    good, bad = ended(user, digits), failed(user, digits, "It broke.")
    shown = console.get(reverse("console_task", args=[good.pk])).content.decode()
    assert "SUCCESS" in shown and "&quot;label&quot;: &quot;3&quot;" in shown.replace("&quot;:&quot;", "&quot;: &quot;")
    assert "Traceback: in score" in console.get(reverse("console_task", args=[bad.pk])).content.decode()


def test_a_very_long_result_is_shown_by_its_beginning(console: Client, user: Any, digits: ModelCard) -> None:
    job = ended(user, digits)
    TaskResult.objects.filter(task_id=str(job.pk)).update(result="7" * 70_000)
    shown = console.get(reverse("console_task", args=[job.pk])).content.decode()
    assert "70,000 characters, the first 65,536" in shown and len(shown) < 100_000


def test_a_task_whose_job_goes_on_has_no_row_yet(console: Client, user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    assert "has no row yet" in console.get(reverse("console_task", args=[job.pk])).content.decode()
    assert console.get(reverse("console_task", args=[new_id()])).status_code == 404


def test_only_who_sees_the_console_sees_a_task(client: Client, user: Any, digits: ModelCard) -> None:
    address = reverse("console_task", args=[ended(user, digits).pk])
    client.force_login(user)
    assert client.get(address).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="see_console"))
    assert client.get(address).status_code == 200


def test_a_search_costs_the_same_number_of_statements_however_much_it_finds(
    user: Any, digits: ModelCard, django_assert_num_queries: Any
) -> None:
    for number in (1, 4):
        for _ in range(number):
            failed(user, digits, "usual")
        with django_assert_num_queries(4):
            TaskSearch({"error": "usual"}).found()

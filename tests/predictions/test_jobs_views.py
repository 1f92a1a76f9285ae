"""The list of jobs: filters, paging by key, counts, and acts on what is selected."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from predictions import job_list, outcomes
from predictions.models import Job, State, utc_now
from predictions.outcomes import Ending
from tests.predictions.jobs import claimed, now, submit_digit, submit_rows
from tests.predictions.test_job_views import ended, signed_in

pytestmark = pytest.mark.django_db
ROW = re.compile(r'<tr id="job-([0-9a-f-]{36})"')


@pytest.fixture
def ana(user: Any) -> Client:
    return signed_in(user)


def listed(client: Client, query: str = "", path: str = "/jobs/") -> list[str]:
    return ROW.findall(client.get(f"{path}?{query}").content.decode())


def ids(*jobs: Job) -> list[str]:
    return [str(job.pk) for job in jobs]


def failed(job: Job, sentence: str) -> Job:
    outcomes.finish(
        job.pk, claimed(job).attempt, Ending(State.FAILED, error={"code": "worker_error", "message": sentence})
    )
    return now(job)


def count_of(client: Client, status: str, query: str = "") -> str:
    page = client.get(f"/jobs/?{query}").content.decode()
    found = re.search(rf'id="count-\w+-{status}" class="job-count">([^<]*)<', page)
    assert found
    return found[1]


def test_jobs_are_listed_newest_first(ana: Client, user: Any, digits: Any) -> None:
    first, second = submit_digit(user, digits), submit_digit(user, digits)
    assert listed(ana) == ids(second, first)


def test_a_user_sees_only_their_own(ana: Client, other_user: Any, digits: Any) -> None:
    submit_digit(other_user, digits)
    assert listed(ana) == []


def test_staff_see_all_and_by_whom(staff: Any, user: Any, digits: Any) -> None:
    submit_digit(user, digits)
    assert '<td data-label="By">ana</td>' in signed_in(staff).get("/jobs/").content.decode()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=queued", "digit"),
        ("kind=batch", "batch"),
        ("queue=realtime", "digit"),
        ("model=other", ""),
        ("q=digits.csv", "batch"),
    ],
)
def test_a_filter_leaves_what_fits(query: str, expected: str, ana: Client, user: Any, digits: Any) -> None:
    jobs = {"digit": submit_digit(user, digits), "batch": submit_rows(user, digits, 5)}
    Job.objects.filter(pk=jobs["batch"].pk).update(state=State.RUNNING)
    assert listed(ana, query) == (ids(jobs[expected]) if expected else [])


def test_a_stopping_job_is_found_as_revoking_and_not_as_running(ana: Client, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 5)
    Job.objects.filter(pk=job.pk).update(state=State.RUNNING, revoke_requested=True)
    assert (listed(ana, "status=revoking"), listed(ana, "status=running")) == (ids(job), [])


def test_a_model_is_found_by_name_and_by_version(ana: Client, user: Any, digits: Any) -> None:
    job = submit_digit(user, digits)
    assert listed(ana, "model=digits") == listed(ana, "model=digits@1") == ids(job)


def test_the_search_finds_ids_by_both_ends_and_errors_by_their_words(ana: Client, user: Any, digits: Any) -> None:
    job = failed(submit_digit(user, digits), "CUDA ran out of memory.")
    submit_digit(user, digits)
    whole = str(job.pk)
    assert [listed(ana, f"q={words}") for words in (whole, whole[-8:], "out of memory")] == [ids(job)] * 3
    assert str(job.pk) in listed(ana, f"q={whole[:8]}")


def test_staff_filter_by_user(staff: Any, user: Any, other_user: Any, digits: Any) -> None:
    submit_digit(user, digits)
    job = submit_digit(other_user, digits)
    assert listed(signed_in(staff), "user=ben") == ids(job)


def test_others_cannot_filter_by_user(ana: Client, user: Any, digits: Any) -> None:
    job = submit_digit(user, digits)
    assert listed(ana, "user=ben") == ids(job)


def test_a_time_leaves_what_was_submitted_in_it(ana: Client, user: Any, digits: Any) -> None:
    job = submit_digit(user, digits)
    before, after = (f"{utc_now() + timedelta(minutes=shift):%Y-%m-%dT%H:%M}" for shift in (-2, 2))
    assert listed(ana, f"after={before}&until={after}") == ids(job)
    assert listed(ana, f"until={before}") == listed(ana, f"after={after}") == []


def test_a_filter_that_cannot_be_read_is_named(ana: Client, user: Any, digits: Any) -> None:
    submit_digit(user, digits)
    answer = ana.get("/jobs/?after=yesterday")
    assert answer.status_code == 422 and "From: That is no time. Give one like" in answer.content.decode()


def test_pages_follow_by_key(ana: Client, user: Any, digits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_list, "PAGE", 2)
    jobs = [submit_digit(user, digits) for _ in range(3)]
    page = ana.get("/jobs/").content.decode()
    assert f'href="?before={jobs[1].pk}"' in page and listed(ana, f"before={jobs[1].pk}") == ids(jobs[0])


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="asks SQLite for its plan")
def test_a_page_is_found_by_an_index_alone(user: Any) -> None:
    shown = job_list.JobList(user, {"before": "01a1fc00-0000-7000-8000-000000000000"})
    with CaptureQueriesContext(
        connection,
    ) as asked:
        shown.page()
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN QUERY PLAN " + next(each["sql"] for each in asked if "LIMIT 51" in each["sql"]))
        plan = " ".join(row[3] for row in cursor.fetchall())
    assert "job_my_list (owner_id=? AND id<?)" in plan and "TEMP B-TREE" not in plan


def test_the_chips_count_by_status(ana: Client, user: Any, digits: Any) -> None:
    ended(submit_digit(user, digits))
    submit_digit(user, digits)
    submit_digit(user, digits)
    assert [count_of(ana, status) for status in ("queued", "succeeded", "failed")] == ["2", "1", "0"]


def test_a_chips_count_keeps_the_other_filters(ana: Client, user: Any, digits: Any) -> None:
    submit_digit(user, digits)
    submit_rows(user, digits, 5)
    assert count_of(ana, "queued", "kind=batch&status=failed") == "1"


def test_counting_stops_at_a_bound(ana: Client, user: Any, digits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_list, "COUNTED", 1)
    for _ in range(3):
        ended(submit_digit(user, digits))
    assert count_of(ana, "succeeded").endswith("+")


def test_the_poll_answers_the_rows_from_the_topmost_on(ana: Client, user: Any, digits: Any) -> None:
    old, known, fresh = (submit_digit(user, digits) for _ in range(3))
    assert listed(ana, f"newest={known.pk}", "/jobs/rows/") == ids(known, old)
    assert listed(ana, f"newest={known.pk}", "/jobs/rows/new/") == ids(fresh)


def test_revoking_the_selected_says_what_became_of_each(ana: Client, user: Any, digits: Any) -> None:
    queued, running, over = (
        submit_digit(user, digits),
        claimed(submit_digit(user, digits)).job,
        ended(submit_digit(user, digits)),
    )
    answer = ana.post("/jobs/revocations/", {"job": ids(queued, running, over)}, follow=True)
    assert "Revoke: 1 never started, 1 stopping, 1 had already ended." in answer.content.decode()
    assert now(queued).state == State.REVOKED


def test_what_belongs_to_others_is_left_alone(ana: Client, other_user: Any, digits: Any) -> None:
    job = submit_digit(other_user, digits)
    answer = ana.post("/jobs/revocations/", {"job": [*ids(job), "no id"]}, follow=True)
    assert "No job was selected." in answer.content.decode() and now(job).state == State.QUEUED


def test_retrying_the_selected_says_what_was_not(ana: Client, user: Any, digits: Any) -> None:
    over, queued = ended(submit_digit(user, digits)), submit_digit(user, digits)
    shown = ana.post("/jobs/retries/", {"job": ids(over, queued)}, follow=True).content.decode()
    assert "Retry: 1 new job was queued." in shown and "1 not retried: The job is queued." in shown
    assert Job.objects.filter(retry_of=over).count() == 1


def test_an_act_leads_back_to_the_filtered_list(ana: Client) -> None:
    assert ana.post("/jobs/retries/", {"next": "/jobs/?status=failed"}).url == "/jobs/?status=failed"


def test_an_act_never_leads_to_another_site(ana: Client) -> None:
    assert ana.post("/jobs/retries/", {"next": "https://elsewhere.example/"}).url == "/jobs/"


def test_an_empty_list_offers_the_next_step(ana: Client) -> None:
    assert "Submit the first" in ana.get("/jobs/").content.decode()

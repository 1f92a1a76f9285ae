"""The page of one job: who sees it, what each state says, and what its buttons do."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from predictions import expiry, outcomes, revocation, turns
from predictions.audit import Audit
from predictions.models import Job, State, note
from predictions.outcomes import Ending
from tests.predictions.jobs import SUCCESS, claimed, claimed_chunk, now, scored, submit_digit, submit_rows

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def ana(user: Any) -> Client:
    return signed_in(user)


def signed_in(person: Any) -> Client:
    client = Client()
    client.force_login(person)
    return client


def page(client: Client, job: Job, part: str = "") -> str:
    return " ".join(client.get(f"/jobs/{job.pk}/{part}").content.decode().split())


def ended(job: Job, ending: Ending = SUCCESS) -> Job:
    outcomes.finish(job.pk, claimed(job).attempt, ending, done=1)
    return now(job)


def test_the_page_asks_a_stranger_to_sign_in(user: Any, digits: Any) -> None:
    job = submit_digit(user, digits)
    assert Client().get(f"/jobs/{job.pk}/").url == f"/sign-in/?next=/jobs/{job.pk}/"


def test_a_script_of_a_stranger_has_its_page_reloaded(user: Any, digits: Any) -> None:
    answer = Client().post(f"/jobs/{submit_digit(user, digits).pk}/revoke/", headers=HTMX)
    assert (answer.status_code, answer["HX-Refresh"]) == (401, "true")


@pytest.mark.parametrize("part", ["", "live/", "rows/", "result.csv", "rejected.csv"])
def test_another_users_job_is_not_found(part: str, ana: Client, other_user: Any, digits: Any) -> None:
    assert ana.get(f"/jobs/{submit_digit(other_user, digits).pk}/{part}").status_code == 404


@pytest.mark.parametrize("act", ["revoke", "retry"])
def test_nobody_acts_on_another_users_job(act: str, ana: Client, other_user: Any, digits: Any) -> None:
    assert ana.post(f"/jobs/{submit_digit(other_user, digits).pk}/{act}/").status_code == 404


def test_staff_see_every_job(staff: Any, user: Any, digits: Any) -> None:
    assert "ana, through the API" in page(signed_in(staff), submit_digit(user, digits))


@pytest.mark.parametrize("act", ["revoke", "retry"])
def test_acts_are_not_done_by_following_a_link(act: str, ana: Client, user: Any, digits: Any) -> None:
    assert ana.get(f"/jobs/{submit_digit(user, digits).pk}/{act}/").status_code == 405


def test_an_act_needs_the_csrf_token(user: Any, digits: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    assert client.post(f"/jobs/{submit_digit(user, digits).pk}/revoke/").status_code == 403


def test_a_queued_job_says_its_place_and_how_to_start_a_worker(ana: Client, user: Any, digits: Any) -> None:
    submit_digit(user, digits)
    shown = page(ana, submit_digit(user, digits))
    assert "2nd in line" in shown and "No worker serves realtime" in shown and "-Q realtime" in shown


def test_a_prediction_is_shown_with_its_confidence(ana: Client, user: Any, digits: Any) -> None:
    shown = page(ana, ended(submit_digit(user, digits)))
    assert '<span class="answer-label">3</span><span>90.0 %</span>' in shown


def test_the_input_is_shown_as_a_picture(ana: Client, user: Any, digits: Any) -> None:
    assert "The input as an image of 8 by 8" in page(ana, submit_digit(user, digits))


def test_a_job_of_a_model_that_is_gone_is_still_shown(ana: Client, user: Any, digits: Any) -> None:
    job = submit_digit(user, digits)
    Job.objects.filter(pk=job.pk).update(model="gone@7")
    assert "The input as a strip of 64 values" in page(ana, job)


def test_store_false_is_said_where_the_result_would_be(ana: Client, user: Any, digits: Any) -> None:
    shown = page(ana, ended(submit_digit(user, digits, store=False)))
    assert "ran with store: false; its result was not kept" in shown


def test_an_expired_job_keeps_its_input_and_can_be_retried(ana: Client, user: Any, digits: Any) -> None:
    job = ended(submit_digit(user, digits))
    assert expiry.expire(job)
    shown = page(ana, job)
    assert "Result removed" in shown and "input and timing are kept" in shown and f"/jobs/{job.pk}/retry/" in shown


def test_a_failure_is_told_with_its_places(ana: Client, user: Any, digits: Any) -> None:
    error = {"code": "invalid_input", "message": "1 row cannot be read.", "error_count": 1}
    place = {"line": 1502, "column": "pixel_0_5", "value": "abc", "message": "'abc' is not a number"}
    shown = page(ana, ended(submit_digit(user, digits), Ending(State.FAILED, error=error | {"errors": [place]})))
    assert "1 row cannot be read." in shown and "Line 1,502, column pixel_0_5: &#x27;abc&#x27; is not a number" in shown


def test_only_staff_see_the_traceback(ana: Client, staff: Any, user: Any, digits: Any) -> None:
    failure = Ending(State.FAILED, error={"code": "worker_error", "message": "boom"}, traceback="Traceback: at line 7")
    job = ended(submit_digit(user, digits), failure)
    assert "at line 7" in page(signed_in(staff), job) and "at line 7" not in page(ana, job)


def test_what_went_wrong_hangs_on_the_timeline(ana: Client, user: Any, digits: Any) -> None:
    job = claimed(submit_digit(user, digits)).job
    note(job, "gpu1 stopped answering; queued again")
    assert "gpu1 stopped answering; queued again" in page(ana, job)


def test_a_running_batch_says_how_far_it_is(ana: Client, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, rows=20, parts=2)
    turns.finish_chunk(claimed_chunk(job), scored(10))
    shown = page(ana, job)
    assert "10 of 20 rows, 50 %" in shown and "2 parts: 1 done, 1 queued" in shown


def test_a_revoked_batch_says_what_it_kept(ana: Client, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, rows=20, parts=2)
    turns.finish_chunk(claimed_chunk(job), scored(10))
    revocation.revoke(job, user)
    assert "Revoked after 10 of 20 rows" in page(ana, job)


def test_a_batch_that_stops_says_that_finished_rows_are_kept(ana: Client, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, rows=20, parts=2)
    claimed_chunk(job)
    revocation.revoke(job, user)
    assert "Stopping; finished rows are kept." in page(ana, job)


def test_revoking_by_htmx_answers_the_changed_part(ana: Client, user: Any, digits: Any) -> None:
    answer = ana.post(f"/jobs/{submit_digit(user, digits).pk}/revoke/", headers=HTMX)
    assert answer.content.lstrip().startswith(b'<div id="job"') and b"Revoked before it started" in answer.content


def test_revoking_without_scripts_leads_back_to_the_job(ana: Client, user: Any, digits: Any) -> None:
    job = submit_digit(user, digits)
    assert ana.post(f"/jobs/{job.pk}/revoke/").url == f"/jobs/{job.pk}/"
    assert now(job).state == State.REVOKED


def test_revoking_what_has_ended_says_why_it_cannot(ana: Client, user: Any, digits: Any) -> None:
    answer = ana.post(f"/jobs/{ended(submit_digit(user, digits)).pk}/revoke/", headers=HTMX)
    assert answer.status_code == 409 and "The job has ended: it is succeeded." in answer.content.decode()


def test_a_retry_leads_to_the_new_job(ana: Client, user: Any, digits: Any) -> None:
    job = ended(submit_digit(user, digits))
    address = ana.post(f"/jobs/{job.pk}/retry/").url
    again = Job.objects.get(retry_of=job)
    assert address == f"/jobs/{again.pk}/" and again.source == "web"


def test_a_retry_by_htmx_moves_the_whole_page(ana: Client, user: Any, digits: Any) -> None:
    job = ended(submit_digit(user, digits))
    assert (
        ana.post(f"/jobs/{job.pk}/retry/", headers=HTMX)["HX-Redirect"] == f"/jobs/{Job.objects.get(retry_of=job).pk}/"
    )


def test_a_job_that_has_not_ended_is_not_retried(ana: Client, user: Any, digits: Any) -> None:
    answer = ana.post(f"/jobs/{submit_digit(user, digits).pk}/retry/", headers=HTMX)
    assert answer.status_code == 409 and "Only a job that has ended can be retried" in answer.content.decode()


def test_retrying_anothers_job_is_audited(staff: Any, user: Any, digits: Any) -> None:
    job = ended(submit_digit(user, digits))
    signed_in(staff).post(f"/jobs/{job.pk}/retry/")
    written = Audit.objects.get(action="retry")
    assert (written.who_name, written.subject) == ("olga", f"job {job.pk}")


def test_retrying_ones_own_job_is_not(ana: Client, user: Any, digits: Any) -> None:
    ana.post(f"/jobs/{ended(submit_digit(user, digits)).pk}/retry/")
    assert not Audit.objects.filter(action="retry").exists()


def test_the_live_part_is_the_one_of_the_page(ana: Client, user: Any, digits: Any) -> None:
    job = ended(submit_digit(user, digits))
    assert page(ana, job, "live/").startswith(f'<div id="job" data-poll="/jobs/{job.pk}/live/">')

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from predictions import bounded_looks, expiry, keys, outcomes
from predictions.api_schemas import JobOut, JobsOut, ModelsOut, ShortOut
from predictions.audit import Audit
from predictions.contract import time_of
from predictions.model_cards import ModelCard
from predictions.models import Job, State, new_id
from predictions.outcomes import Ending
from tests.predictions.calling import API, Caller, detail
from tests.predictions.jobs import SUCCESS, claimed, claimed_chunk, now, submit_digit, submit_rows

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def caller(user: Any, redis_server: Any) -> Caller:
    return Caller(user)


@pytest.fixture
def job(user: Any, digits: ModelCard, redis_server: Any) -> Job:
    return submit_digit(user, digits)


def finish(job: Job, ending: Ending = SUCCESS) -> Job:
    outcomes.finish(job.pk, claimed(job).attempt, ending)
    return now(job)


def grant(user: Any, codename: str) -> None:
    user.user_permissions.add(Permission.objects.get(codename=codename))


def test_without_a_key_or_session_it_is_401_and_says_how() -> None:
    answer = Client().get(f"{API}/jobs")
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Bearer realm="api"')
    assert "Bearer <key>" in detail(answer)


@pytest.mark.parametrize("header", ["Bearer no-such-key", "Bearer", "Basic YTpi", ""])
def test_a_key_that_is_not_valid_is_401(header: str) -> None:
    assert Client().get(f"{API}/jobs", headers={"Authorization": header}).status_code == 401


def test_a_revoked_key_and_a_closed_account_are_401(caller: Caller, user: Any) -> None:
    other = Caller(user)
    keys.revoke(user, keys.ApiKey.objects.latest("id").pk)
    assert (other.get("/jobs").status_code, caller.get("/jobs").status_code) == (401, 200)
    user.is_active = False
    user.save()
    assert caller.get("/jobs").status_code == 401


def test_a_session_may_read_but_needs_the_csrf_token_to_act(user: Any, job: Job) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    assert browser.get(f"{API}/jobs/{job.pk}").status_code == 200
    refused = browser.post(f"{API}/jobs/{job.pk}/revoke")
    assert refused.status_code == 403 and "CSRF" in detail(refused)
    browser.cookies["csrftoken"] = token = "a" * 32
    assert browser.post(f"{API}/jobs/{job.pk}/revoke", headers={"X-CSRFToken": token}).status_code == 200


def test_another_users_job_answers_exactly_as_one_that_does_not_exist(other_user: Any, job: Job) -> None:
    stranger, nobody = Caller(other_user), new_id()
    for act in ("", "/result", "/rejected"):
        theirs, nobodys = (stranger.get(f"/jobs/{pk}{act}") for pk in (job.pk, nobody))
        assert (theirs.status_code, detail(theirs)) == (404, detail(nobodys).replace(str(nobody), str(job.pk)))
    assert {stranger.post(f"/jobs/{job.pk}/{act}").status_code for act in ("revoke", "retry")} == {404}
    assert stranger.get(f"/result/{job.pk}").status_code == 404 and stranger.get("/jobs").json()["items"] == []


def test_staff_see_and_revoke_everybodys_jobs(staff: Any, job: Job) -> None:
    operator = Caller(staff)
    assert operator.get("/jobs").json()["items"][0]["id"] == str(job.pk)
    assert operator.post(f"/jobs/{job.pk}/revoke").json()["status"] == "revoked"


def test_the_permission_to_revoke_any_job_is_enough_to_revoke_one(other_user: Any, job: Job) -> None:
    grant(other_user, "revoke_any_job")
    assert Caller(other_user).post(f"/jobs/{job.pk}/revoke").status_code == 200


def test_a_job_is_shown_as_the_contract_says(caller: Caller, job: Job) -> None:
    shown = JobOut.model_validate(caller.get(f"/jobs/{job.pk}").json())
    assert (shown.status, shown.position and shown.position.ahead, shown.result) == ("queued", 0, None)
    shown = JobOut.model_validate(caller.get(f"/jobs/{finish(job).pk}").json())
    assert (shown.status, shown.position, shown.result and shown.result.label) == ("succeeded", None, "3")


@pytest.mark.parametrize("job_id", ["x", "%00", "%ff", "a" * 300, "00000000-0000-0000-0000-000000000000"])
def test_what_is_no_jobs_id_is_404(caller: Caller, job_id: str) -> None:
    assert caller.get(f"/jobs/{job_id}").status_code == caller.get(f"/result/{job_id}").status_code == 404


@pytest.mark.parametrize("wait", ["-1", "61", "nan", "inf", "soon"])
def test_a_wait_that_is_out_of_range_is_422(caller: Caller, job: Job, wait: str) -> None:
    answer = caller.get(f"/jobs/{job.pk}?wait={wait}")
    assert answer.status_code == 422 and f"not '{wait}'" in detail(answer)


def test_the_list_is_newest_first_and_its_pages_join(
    caller: Caller, user: Any, digits: ModelCard, redis_server: Any
) -> None:
    ids = [str(submit_digit(user, digits).pk) for _ in range(5)]
    first = JobsOut.model_validate(caller.get("/jobs?limit=2").json())
    second = JobsOut.model_validate(caller.get(f"/jobs?limit=2&cursor={first.next}").json())
    third = JobsOut.model_validate(caller.get(f"/jobs?limit=2&cursor={second.next}").json())
    assert [job.id for page in (first, second, third) for job in page.items] == ids[::-1]
    assert third.next is None


def test_the_list_is_filtered_by_status_kind_queue_and_model(
    caller: Caller, user: Any, digits: ModelCard, job: Job
) -> None:
    batch = submit_rows(user, digits, rows=2)
    finish(job)

    def found(query: str) -> list[str]:
        return [item["id"] for item in caller.get(f"/jobs?{query}").json()["items"]]

    assert found("status=succeeded") == found("kind=realtime") == found("queue=realtime") == [str(job.pk)]
    assert found("status=queued") == found("kind=batch") == found("q=DIGITS.csv") == [str(batch.pk)]
    assert found("model=digits") == found("model=digits@1") == [str(batch.pk), str(job.pk)]
    assert found("model=digit") == found("status=revoking") == found("queue=default") == []
    assert found(f"q={job.pk}") == found(f"q={job.pk.hex[-8:]}") == [str(job.pk)]


@pytest.mark.parametrize("query", ["q=digits.csv", "kind=batch", "model=digits&queue=batch"])
def test_a_page_looks_at_so_many_jobs_and_no_more_and_says_where_to_go_on(
    query: str, caller: Caller, user: Any, digits: ModelCard, redis_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_looks, "LOOKED_AT", 2)
    oldest = submit_rows(user, digits, rows=2)
    for _ in range(3):
        submit_digit(user, digits)
    first = caller.get(f"/jobs?{query}").json()
    assert first["items"] == [] and first["next"]
    second = caller.get(f"/jobs?{query}&cursor={first['next']}").json()
    assert ([job["id"] for job in second["items"]], second["next"]) == ([str(oldest.pk)], None)


def test_those_that_failed_are_found_at_once_however_many_have_not_since(
    caller: Caller, user: Any, digits: ModelCard, redis_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_looks, "LOOKED_AT", 2)
    failed = submit_digit(user, digits)
    for _ in range(3):
        submit_digit(user, digits)
    Job.objects.filter(pk=failed.pk).update(state=State.FAILED)
    answer = caller.get("/jobs?status=failed").json()
    assert ([job["id"] for job in answer["items"]], answer["next"]) == ([str(failed.pk)], None)


def test_the_list_is_filtered_by_time(caller: Caller, job: Job) -> None:
    before, after = (quote(time_of(job.created + timedelta(seconds=offset)) or "") for offset in (-1, 1))

    def found(query: str) -> int:
        return len(caller.get(f"/jobs?{query}").json()["items"])

    assert (found(f"created_after={before}"), found(f"created_before={after}")) == (1, 1)
    assert (found(f"created_after={after}"), found(f"created_before={before}")) == (0, 0)
    assert found("created_before=0001-01-01T00:00:00Z") == 0 < found("created_after=0001-01-01T00:00:00Z")


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=201", "limit=abc", "cursor=abc", "cursor=%ff", "cursor=", "q=%00", "a%00=1"),
        *("status=done", "kind=x", "queue=x", "created_after=soon", "created_after=0001-01-01T00:00:00%2B14:00"),
        f"q={'a' * 201}",
    ],
)
def test_a_filter_that_cannot_be_read_is_422(caller: Caller, query: str) -> None:
    answer = caller.get(f"/jobs?{query}")
    assert (answer.status_code, answer["Content-Type"]) == (422, "application/problem+json")


def test_revoking_is_audited_and_a_job_that_has_ended_is_409(caller: Caller, user: Any, job: Job) -> None:
    assert caller.post(f"/jobs/{job.pk}/revoke").json()["status"] == "revoked"
    again = caller.post(f"/jobs/{job.pk}/revoke")
    assert again.status_code == 409 and "revoked" in detail(again)
    assert list(Audit.objects.values_list("who", "action", "subject")) == [(user.pk, "revoke", f"job {job.pk}")]


def test_a_running_batch_is_revoking(caller: Caller, user: Any, digits: ModelCard, redis_server: Any) -> None:
    batch = submit_rows(user, digits, rows=2)
    claimed_chunk(batch)
    assert caller.post(f"/jobs/{batch.pk}/revoke").json()["status"] == "revoking"


def test_a_retry_is_a_new_job_on_the_same_input(caller: Caller, job: Job) -> None:
    finish(job, Ending(State.FAILED, error={"code": "x", "message": "It broke."}))
    answer = caller.post(f"/jobs/{job.pk}/retry")
    again = Job.objects.get(pk=answer.json()["id"])
    assert (answer.status_code, answer["Location"]) == (202, f"{API}/jobs/{again.pk}")
    assert (again.retry_of_id, again.vector) == (job.pk, job.vector)


def test_a_job_that_has_not_ended_cannot_be_retried(caller: Caller, job: Job) -> None:
    assert caller.post(f"/jobs/{job.pk}/retry").status_code == 409


def test_the_short_answer_says_completed_with_the_result(caller: Caller, job: Job) -> None:
    assert caller.get(f"/result/{job.pk}").json() == {"status": "queued"}
    answer = caller.get(f"/result/{finish(job).pk}").json()
    assert answer == {"status": "completed", "result": SUCCESS.result} and ShortOut.model_validate(answer)


def test_the_short_answer_of_a_failed_job_has_its_error(caller: Caller, job: Job) -> None:
    error = {"code": "x", "message": "It broke."}
    finish(job, Ending(State.FAILED, error=error))
    assert caller.get(f"/result/{job.pk}").json() == {"status": "failed", "error": error}


def test_the_short_answer_of_an_expired_job_has_no_result(caller: Caller, job: Job) -> None:
    expiry.expire(finish(job))
    assert caller.get(f"/result/{job.pk}").json() == {"status": "expired"}


def test_the_models_are_listed_with_their_labels(caller: Caller, digits: ModelCard) -> None:
    models = ModelsOut.model_validate(caller.get("/models").json())
    digits_model = next(model for model in models.items if model.name == "digits")
    assert (digits_model.default, digits_model.width, digits_model.labels[3], digits_model.served_by) == (
        True,
        64,
        "3",
        [],
    )


@pytest.mark.parametrize("path", ["", "/", "/nope", "/jobs/", "/%00", "/jobs/x/nope"])
def test_an_unknown_path_is_a_problem_and_not_a_page(caller: Caller, path: str) -> None:
    for answer in (caller.get(path), caller.post(path)):
        assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.parametrize(
    ("method", "path", "allowed"), [("PUT", "/predict", "POST"), ("DELETE", "/jobs", "GET"), ("POST", "/docs", "GET")]
)
def test_a_method_that_is_not_allowed_is_405_with_those_that_are(
    caller: Caller, method: str, path: str, allowed: str
) -> None:
    answer = caller.call(method, path)
    assert (answer.status_code, answer["Allow"], answer["Content-Type"]) == (405, allowed, "application/problem+json")


def test_head_answers_as_get(caller: Caller, job: Job) -> None:
    assert caller.call("HEAD", f"/jobs/{job.pk}").status_code == 200


def test_a_host_that_is_not_ours_is_a_problem_for_a_program(caller: Caller) -> None:
    answer = caller.get("/jobs", Host="evil.example")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert int(answer["Content-Length"]) == len(answer.content)


def test_a_fault_of_ours_is_500_without_a_traceback(
    caller: Caller, user: Any, digits: ModelCard, redis_server: Any
) -> None:
    batch = submit_rows(user, digits, rows=2)
    caller.post(f"/jobs/{batch.pk}/revoke")
    Job.objects.filter(pk=batch.pk).update(state=State.SUCCEEDED)
    batch.upload.plan = {"not": "a plan"}
    batch.upload.save()
    answer = caller.get(f"/jobs/{batch.pk}/result")
    assert (answer.status_code, answer["Content-Type"]) == (500, "application/problem+json")
    assert b"Traceback" not in answer.content and b"KeyError" not in answer.content


def test_answers_are_not_cached_and_say_their_length(caller: Caller) -> None:
    answer = caller.get("/jobs")
    assert (answer["Cache-Control"], int(answer["Content-Length"])) == ("private, no-store", len(answer.content))

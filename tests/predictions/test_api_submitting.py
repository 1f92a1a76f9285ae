from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings as django_settings
from django.db import connection

from predictions import keys, outcomes
from predictions.api_schemas import JobOut
from predictions.model_cards import ModelCard
from predictions.models import Job, Upload
from tests.predictions.calling import Caller, detail
from tests.predictions.jobs import SUCCESS, claimed, csv_of
from tests.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def caller(user: Any, redis_server: Any) -> Caller:
    return Caller(user)


@pytest.fixture
def vector(digits: ModelCard) -> list[float]:
    return list(digits.examples[3]["vector"])


# What each database says with an error of its own kind for "not now".
CANNOT_TAKE_A_JOB = {
    "sqlite": ("ALTER TABLE predictions_job RENAME TO put_away", "ALTER TABLE put_away RENAME TO predictions_job"),
    "postgresql": (
        """CREATE FUNCTION full_up() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'disk_full', MESSAGE = 'could not extend file'; END $$;
        CREATE TRIGGER full_up BEFORE INSERT ON predictions_job EXECUTE FUNCTION full_up()""",
        "DROP FUNCTION full_up CASCADE",
    ),
}


@pytest.fixture
def full_database() -> Iterator[None]:
    """One that cannot take a job."""
    begin, end = CANNOT_TAKE_A_JOB[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(begin)
    yield
    with connection.cursor() as cursor:
        cursor.execute(end)


def kept_inputs() -> set[Path]:
    return set((django_settings.DATA_DIR / "files" / "uploads").rglob("*.csv"))


def test_a_bare_list_is_accepted_and_the_answer_says_where_the_job_is(caller: Caller, vector: list[float]) -> None:
    answer = caller.post("/predict", vector)
    job = JobOut.model_validate(answer.json())
    assert (answer.status_code, answer["Location"], job.task_id) == (202, f"/api/v1/jobs/{job.id}", job.id)


def test_an_accepted_job_is_in_the_database_before_the_answer(caller: Caller, vector: list[float]) -> None:
    assert Job.objects.get(pk=caller.post("/predict", vector).json()["id"]).vector == vector


def test_an_object_says_model_priority_and_store(caller: Caller, vector: list[float]) -> None:
    answer = caller.post("/predict", {"input": vector, "model": "digits@1", "priority": 2, "store": False})
    job = Job.objects.get(pk=answer.json()["id"])
    assert (job.model, job.priority, job.store, job.source) == ("digits@1", 2, False, "api")


def test_a_byte_order_mark_and_utf_16_are_read(caller: Caller, vector: list[float]) -> None:
    bodies = [b"\xef\xbb\xbf" + str(vector).encode(), str(vector).encode("utf-16")]
    assert [caller.post("/predict", body).status_code for body in bodies] == [202, 202]


@pytest.mark.parametrize(
    "body", [b"", b"[1,", b"\x80", b"[" * 2000 + b"]" * 2000, b"[1e400]", b"[NaN]", b"\xff\xfe\x00"]
)
def test_what_cannot_be_read_is_400(caller: Caller, body: bytes) -> None:
    answer = caller.post("/predict", body)
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ([1, 2, 3], "The vector has 3 values; digits@1 takes 64."),
        ([1] * 63 + ["x"], "The vector cannot be taken: pixel_7_7: 'x' is not a number."),
        ([1] * 63 + [1e39], "The vector cannot be taken: pixel_7_7: larger than a float32 can hold."),
        ({"input": [1] * 64, "model": "cats"}, "The model 'cats' is not known; known are digits@1."),
        ({"input": [1] * 64, "priority": 10}, "priority is 10; a whole number from 0 to 9 is allowed."),
        ({"input": [1] * 64, "store": "no"}, "store is 'no'; true or false is allowed."),
        (None, "The input must be a list of 64 numbers, not null."),
    ],
)
def test_what_is_not_valid_is_422_with_a_sentence(
    caller: Caller, digits: ModelCard, body: object, sentence: str
) -> None:
    answer = caller.post("/predict", body)
    assert (answer.status_code, detail(answer)) == (422, sentence)


def test_every_wrong_place_is_named_up_to_a_hundred_with_the_whole_count(caller: Caller, digits: ModelCard) -> None:
    answer = caller.post("/batch-predict", {"inputs": [["x"] * 64] * 2}).json()
    assert (len(answer["errors"]), answer["error_count"]) == (100, 128)
    assert answer["errors"][0] == {"row": 1, "column": "pixel_0_0", "value": "'x'", "message": "'x' is not a number"}


def test_nothing_is_stored_by_a_request_that_is_refused(caller: Caller, digits: ModelCard) -> None:
    before = kept_inputs()
    caller.post("/predict", [1])
    caller.send_file(csv_of(digits, 2) + b"1,2\n")
    caller.post("/batch-predict", csv_of(digits, 2), "text/csv", Idempotency_Key="two words")
    assert not Job.objects.exists() and not Upload.objects.exists() and kept_inputs() == before


@pytest.mark.parametrize("path", ["/predict", "/batch-predict"])
def test_a_type_that_is_not_taken_is_415(caller: Caller, path: str) -> None:
    answer = caller.post(path, b"PK", "application/vnd.ms-excel")
    assert answer.status_code == 415 and "application/vnd.ms-excel" in detail(answer)


def test_rows_in_json_become_one_batch(caller: Caller, vector: list[float]) -> None:
    job = caller.post("/batch-predict", {"inputs": [vector] * 3, "priority": 4}).json()
    assert (job["kind"], job["queue"], job["priority"], job["progress"]["total"]) == ("batch", "batch", 4, 3)


def test_a_csv_body_takes_its_fields_from_the_query(caller: Caller, digits: ModelCard) -> None:
    answer = caller.post("/batch-predict?priority=3&on_bad_row=skip&store=false", csv_of(digits, 5), "text/csv")
    job = Job.objects.get(pk=answer.json()["id"])
    assert (job.total, job.priority, job.on_bad_row, job.store) == (5, 3, "skip", False)


def test_a_form_has_its_fields_beside_the_file(caller: Caller, digits: ModelCard) -> None:
    job = Job.objects.get(pk=caller.send_file(csv_of(digits, 4), "four.csv", priority="7").json()["id"])
    assert (job.total, job.priority, job.file_name) == (4, 7, "four.csv")


def test_a_bad_row_refuses_the_file_unless_it_is_to_be_skipped(caller: Caller, digits: ModelCard) -> None:
    file = csv_of(digits, 2) + b",".join([b"abc"] * 64) + b"\n"
    refused, skipped = caller.send_file(file), caller.send_file(file, on_bad_row="skip")
    assert (refused.status_code, skipped.status_code) == (422, 202)
    assert refused.json()["errors"][0]["line"] == 4


def test_a_form_without_a_file_says_so(caller: Caller) -> None:
    assert "no file" in detail(caller.post("/batch-predict", b"--edge--\r\n", "multipart/form-data; boundary=edge"))


def test_the_same_key_and_body_give_the_same_job_again(caller: Caller, vector: list[float]) -> None:
    first, second = (caller.post("/predict", vector, Idempotency_Key="once") for _ in range(2))
    assert first.json()["id"] == second.json()["id"]
    assert (first.get("Idempotent-Replayed"), second["Idempotent-Replayed"]) == (None, "true")


def test_the_same_key_with_another_body_is_409(caller: Caller, vector: list[float]) -> None:
    caller.post("/predict", vector, Idempotency_Key="once")
    assert caller.post("/predict", [*vector[:-1], 1], Idempotency_Key="once").status_code == 409


def test_a_file_that_is_sent_again_leaves_one_job_and_one_input(caller: Caller, digits: ModelCard) -> None:
    answers = [caller.post("/batch-predict", csv_of(digits, 5), "text/csv", Idempotency_Key="file") for _ in range(2)]
    assert answers[1]["Idempotent-Replayed"] == "true" and Job.objects.count() == Upload.objects.count() == 1


def test_a_file_under_a_used_key_leaves_nothing(caller: Caller, digits: ModelCard) -> None:
    caller.post("/batch-predict", csv_of(digits, 5), "text/csv", Idempotency_Key="file")
    assert caller.post("/batch-predict", csv_of(digits, 6), "text/csv", Idempotency_Key="file").status_code == 409
    assert Upload.objects.count() == 1


def test_two_users_may_use_the_same_key(caller: Caller, other_user: Any, vector: list[float]) -> None:
    jobs = {each.post("/predict", vector, Idempotency_Key="once").json()["id"] for each in (caller, Caller(other_user))}
    assert len(jobs) == 2


def test_over_the_rate_limit_is_429_with_the_seconds_to_wait(
    caller: Caller, vector: list[float], clean_redis: None, settings: Any
) -> None:
    settings.RATE_LIMIT = (1, 3600)
    caller.post("/predict", vector)
    refused = caller.post("/predict", vector)
    assert refused.status_code == 429 and 0 < int(refused["Retry-After"]) <= 3600


def test_a_database_that_cannot_take_it_is_503_with_retry_after(
    caller: Caller, vector: list[float], full_database: None
) -> None:
    refused = caller.post("/predict", vector)
    assert (refused.status_code, refused["Retry-After"]) == (503, "5")


def test_who_prefers_to_wait_is_answered_with_the_finished_job(web: str, user: Any, vector: list[float]) -> None:
    def work() -> None:
        assert eventually(lambda: Job.objects.filter(owner=user).exists())
        job = Job.objects.get(owner=user)
        outcomes.finish(job.pk, claimed(job).attempt, SUCCESS)
        connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    answer = post(web, user, vector, "wait=30")
    worker.join()
    assert (answer.status_code, answer.json()["status"], answer.json()["result"]["class"]) == (200, "succeeded", 3)


def test_who_waits_in_vain_is_answered_with_the_queued_job(web: str, user: Any, vector: list[float]) -> None:
    begun = time.monotonic()
    answer = post(web, user, vector, "wait=1")
    assert (answer.status_code, answer.json()["status"]) == (202, "queued") and time.monotonic() - begun >= 1.0


def post(web: str, user: Any, vector: list[float], prefer: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {keys.create(user, 'test')[1]}", "Prefer": prefer}
    return httpx.post(f"{web}/api/v1/predict", json=vector, headers=headers, timeout=60)

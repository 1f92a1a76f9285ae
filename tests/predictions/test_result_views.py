"""What a batch left: its first rows on the page, and its files."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client

from predictions import expiry, files, revocation, turns
from predictions.models import Job
from predictions.turns import Scored
from tests.predictions.jobs import claimed_chunk, now, submit_digit, submit_rows
from tests.predictions.test_job_views import ended, signed_in

pytestmark = pytest.mark.django_db(transaction=True)
LINES = [b"1,3,3,0.9000\n", b"2,7,7,0.4000\n", b"3,3,3,0.8000\n"]


@pytest.fixture
def ana(user: Any) -> Client:
    return signed_in(user)


def score(job: Job, number: int = 0, rejected: bytes = b"") -> None:
    """As the worker does: the part's files, then its finish."""
    claim = claimed_chunk(job, number)
    result = b"".join(LINES)
    files.write(files.result_key(job.pk, number, claim.attempt), result)
    files.write(files.rejected_key(job.pk, number, claim.attempt), rejected)
    made = Scored(
        scored=3, result_bytes=len(result), rejected=int(bool(rejected)), rejected_bytes=len(rejected), spent_s=0.01
    )
    made.class_counts.update({"3": 2, "7": 1})
    turns.finish_chunk(claim, made)


def download(person: Any, job: Job, name: str = "result.csv") -> tuple[Any, bytes]:
    return async_to_sync(_download)(person, f"/jobs/{job.pk}/{name}")


async def _download(person: Any, path: str) -> tuple[Any, bytes]:
    client = AsyncClient()
    await client.aforce_login(person)
    answer: Any = await client.get(path)
    return answer, b"".join([block async for block in answer.streaming_content]) if answer.streaming else answer.content


def test_the_file_is_streamed_whole_with_its_length_and_a_name(user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 3)
    score(job)
    answer, body = download(user, job)
    assert body == b"row,class,label,confidence\n" + b"".join(LINES) and int(answer["Content-Length"]) == len(body)
    assert answer["Content-Disposition"] == f'attachment; filename="digits-result-{str(job.pk)[-8:]}.csv"'


def test_a_revoked_batch_gives_the_rows_it_finished(user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 6, parts=2)
    score(job)
    revocation.revoke(job, user)
    assert download(user, job)[1].endswith(LINES[-1])


def test_a_running_batch_has_no_file_yet(user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 6, parts=2)
    score(job)
    answer, body = download(user, job)
    assert answer.status_code == 409 and b"can be fetched once it has ended" in body


def cut_short(job: Job) -> None:
    """As the worker does when the soft limit stops the part between two blocks."""
    claim = claimed_chunk(job)
    result = b"".join(LINES)
    files.write(files.result_key(job.pk, 0, claim.attempt), result)
    made = Scored(scored=3, result_bytes=len(result), spent_s=300, cut_short=True)
    made.class_counts.update({"3": 2, "7": 1})
    turns.finish_chunk(claim, made)


def test_a_batch_past_its_soft_time_limit_gives_the_rows_it_kept(ana: Client, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 6)
    cut_short(job)
    assert download(user, job)[1] == b"row,class,label,confidence\n" + b"".join(LINES)
    shown = ana.get(f"/jobs/{job.pk}/").content.decode()
    assert "Stopped after 300.0 s of work; the limit is 270 s. 3 of 6 rows are kept." in shown
    assert f'href="/jobs/{job.pk}/result.csv"' in shown and "Showing 3 of 3 rows" in shown


def test_the_page_says_when_the_rows_of_such_a_batch_were_removed(ana: Client, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 6)
    cut_short(job)
    expiry.expire(now(job))
    shown = ana.get(f"/jobs/{job.pk}/").content.decode()
    assert "The finished rows were removed" in shown and "result.csv" not in shown


def test_an_expired_file_is_gone(user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 3)
    score(job)
    expiry.expire(now(job))
    assert download(user, job)[0].status_code == 410


def test_a_vector_has_no_file(user: Any, digits: Any) -> None:
    assert download(user, ended(submit_digit(user, digits)))[0].status_code == 404


def test_rejected_rows_are_a_file_of_their_own(user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 4, on_bad_row="skip")
    score(job, rejected=b"3,2,pixel_0_1,abc,'abc' is not a number\n")
    answer, body = download(user, job, "rejected.csv")
    assert body.startswith(b"line,row,column,value,reason\n3,2,pixel_0_1") and int(answer["Content-Length"]) == len(
        body
    )


def test_the_page_shows_the_first_rows_and_the_file(ana: Client, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 3)
    score(job)
    shown = ana.get(f"/jobs/{job.pk}/").content.decode()
    assert "Showing 3 of 3 rows" in shown and f'href="/jobs/{job.pk}/result.csv"' in shown


def test_rows_are_shown_of_one_class_with_the_least_sure_first(ana: Client, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 3)
    score(job)
    shown = ana.get(f"/jobs/{job.pk}/rows/?class=3&order=least-sure").content.decode()
    assert "Showing 2 of 2 rows of class 3" in shown and shown.index("80.0 %") < shown.index("90.0 %")


def test_rows_of_a_running_batch_say_which_part_they_are_of(ana: Client, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 6, parts=2)
    score(job)
    assert "in the part of the file that was finished first" in ana.get(f"/jobs/{job.pk}/rows/").content.decode()


def test_no_rows_are_shown_once_they_are_removed(ana: Client, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 3)
    score(job)
    expiry.expire(now(job))
    assert "Showing" not in ana.get(f"/jobs/{job.pk}/rows/").content.decode()


def test_store_false_offers_no_file(ana: Client, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 3, store=False)
    score(job)
    shown = ana.get(f"/jobs/{job.pk}/").content.decode()
    assert "ran with store: false" in shown and "result.csv" not in shown and "Showing" not in shown
